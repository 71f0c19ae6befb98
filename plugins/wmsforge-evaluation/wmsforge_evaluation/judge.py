"""A language model that says which of two answers is better, asked twice with the places swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from wmsforge.errors import RecordError
from wmsforge.steps.chat_model import Chat, ChatRequest, Message
from wmsforge.structured import ask

_ROUNDS = 3
_RULES = (
    "두 답변 A와 B 중 질문에 더 정확하고 도움이 되는 답변을 고르세요. 기준 답변을 사실의 근거로 삼고, 길이나 순서에 "
    "영향을 받지 마세요. 우열을 가릴 수 없으면 tie를 고르세요."
)


class Verdict(BaseModel):
    """What the judge answers."""

    better: Literal["A", "B", "tie"] = Field(description="더 나은 답변")


@dataclass(frozen=True)
class Judged:
    """How often the second model won. A win counts only where both orders agree; the rest are ties."""

    wins: int
    losses: int
    ties: int
    swayed: int
    """Of the ties, those where the verdict followed the place."""
    failed: int
    """Pairs that the judge gave no usable verdict on."""


async def judge(chat: Chat, question: str, reference: str, before: str, after: str) -> tuple[str, bool] | None:
    """Return "win", "loss" or "tie" of `after`, and whether the places swayed the judge; None without a verdict."""
    try:
        first = (
            await ask(chat, _request(question, reference, before, after), Verdict, max_rounds=_ROUNDS)
        ).value.better
        second = (
            await ask(chat, _request(question, reference, after, before), Verdict, max_rounds=_ROUNDS)
        ).value.better
    except RecordError:
        return None
    votes = [{"A": -1, "B": 1, "tie": 0}[first], {"A": 1, "B": -1, "tie": 0}[second]]
    if votes[0] == votes[1]:
        return {1: "win", -1: "loss", 0: "tie"}[votes[0]], False
    return "tie", votes[0] == -votes[1]


def count(verdicts: Sequence[tuple[str, bool] | None]) -> Judged:
    """Return how the verdicts add up."""
    given = [verdict for verdict in verdicts if verdict is not None]
    names = [name for name, _ in given]
    return Judged(
        wins=names.count("win"),
        losses=names.count("loss"),
        ties=names.count("tie"),
        swayed=sum(swayed for _, swayed in given),
        failed=len(verdicts) - len(given),
    )


def _request(question: str, reference: str, a: str, b: str) -> ChatRequest:
    text = f"질문: {question}\n\n기준 답변: {reference}\n\n답변 A: {a}\n\n답변 B: {b}"
    messages = (Message(role="system", content=_RULES), Message(role="user", content=text))
    return ChatRequest(messages=messages, max_tokens=50, json_schema=Verdict.model_json_schema())
