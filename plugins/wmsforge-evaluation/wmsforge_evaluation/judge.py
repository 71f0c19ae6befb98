"""A language model that says which of two answers is better, asked twice with the places swapped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from wmsforge.errors import RecordError
from wmsforge.steps.chat_model import Chat, ChatRequest, Message
from wmsforge.structured import ask
from wmsforge_evaluation.bootstrap import Bootstrap, Interval

_ROUNDS = 3
_RULES = {
    "ko": "두 답변 A와 B 중 질문에 더 정확하고 도움이 되는 답변을 고르세요. 기준 답변을 사실의 근거로 삼고, 길이나 "
    "순서에 영향을 받지 마세요. 우열을 가릴 수 없으면 tie를 고르세요.",
    "en": "Choose which of the answers A and B is the more correct and helpful one. Take the reference answer for the "
    "facts; neither length nor order counts. Choose tie if neither is better.",
}
_LABELS = {
    "ko": ("질문", "기준 답변", "답변 A", "답변 B"),
    "en": ("Question", "Reference answer", "Answer A", "Answer B"),
}


class Verdict(BaseModel):
    """What the judge answers."""

    better: Literal["A", "B", "tie"] = Field(description="A, B or tie")


@dataclass(frozen=True)
class Opinion:
    """What the judge holds of the second answer against the first."""

    preference: Literal[-1, 0, 1]
    """1 if it is better in both orders, -1 if worse in both, else 0."""
    swayed: bool
    """Whether the verdict followed the place."""


@dataclass(frozen=True)
class Judged:
    """How often the second model's answer was better or worse, as shares of the pairs that got an opinion."""

    better: Interval | None
    worse: Interval | None
    pairs: int
    swayed: int
    failed: int
    """Pairs without a usable verdict; they are none of `pairs`."""

    def as_json(self, end: str) -> dict[str, Any]:
        """Return the figures under names with `end`."""
        shares = {"better": self.better, "worse": self.worse}
        numbers = {"pairs": self.pairs, "swayed": self.swayed, "failed": self.failed}
        told = {name: share.as_list() if share else None for name, share in shares.items()}
        return {f"judge_{name}{end}": value for name, value in (told | numbers).items()}


async def judge(chat: Chat, language: str, question: str, reference: str, before: str, after: str) -> Opinion | None:
    """Return what the judge holds of `after`; None without a verdict."""
    votes = []
    try:
        for a, b, after_is in ((before, after, "B"), (after, before, "A")):
            request = _request(language, question, reference, a, b)
            better = (await ask(chat, request, Verdict, max_rounds=_ROUNDS)).value.better
            votes.append(0 if better == "tie" else 1 if better == after_is else -1)
    except RecordError:
        return None
    first, second = votes
    if first != second:
        return Opinion(0, swayed=first == -second)
    return Opinion(1 if first > 0 else -1 if first < 0 else 0, swayed=False)


def count(opinions: Sequence[Opinion | None], asked: int, bootstrap: Bootstrap) -> Judged:
    """Return how the opinions add up.

    Args:
        opinions: One a row of the bootstrap; None also where the judge was not asked.
        asked: How many pairs the judge was shown.
    """
    given = [opinion for opinion in opinions if opinion is not None]

    def share(preference: int) -> Interval | None:
        return bootstrap.mean([None if one is None else float(one.preference == preference) for one in opinions])

    swayed = sum(opinion.swayed for opinion in given)
    return Judged(share(1), share(-1), len(given), swayed, asked - len(given))


def _request(language: str, question: str, reference: str, a: str, b: str) -> ChatRequest:
    spoken = language if language in _RULES else "en"
    texts = zip(_LABELS[spoken], (question, reference, a, b), strict=True)
    text = "\n\n".join(f"{label}: {text}" for label, text in texts)
    messages = (Message(role="system", content=_RULES[spoken]), Message(role="user", content=text))
    return ChatRequest(messages=messages, max_tokens=50, json_schema=Verdict.model_json_schema())
