"""Structured answers of chat models: parsed strictly, repaired where the fault is plain, else asked for again.

Repaired are: code fences and other text around the JSON, commas before a closing bracket, line ends
inside strings, and an answer that was cut off inside its outermost list, of which the whole elements
are kept. What a repair leaves must still pass the model, so nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from wmsforge.errors import RecordError
from wmsforge.reasons import EMPTY, MALFORMED_JSON, REFUSAL, SCHEMA_MISMATCH, TRUNCATED
from wmsforge.steps.chat_model import Chat, ChatRequest

M = TypeVar("M", bound=BaseModel)

_MAX_STARTS = 50
"""Brackets at which JSON may begin. Each is read to the end of the text: a loop of '[' must not cost its square."""


class UnparsableError(ValueError):
    """An answer that does not hold the JSON that was asked for; says in one line what is wrong.

    Args:
        reason: `empty`, `malformed_json` or `schema_mismatch`.
    """

    def __init__(self, reason: str, fault: str) -> None:
        super().__init__(fault)
        self.reason = reason


@dataclass(frozen=True)
class Structured(Generic[M]):
    """A parsed answer."""

    value: M
    sample: int
    """Number of the sample that could be parsed; the next one to ask for is one more."""


async def ask(chat: Chat, request: ChatRequest, model: type[M], *, max_rounds: int) -> Structured[M]:
    """Ask for JSON that `model` accepts, from `request.sample` on, at most `max_rounds` times.

    Raises:
        RecordError: If no answer could be parsed, why the last one could not: `truncated`, `empty`,
            `malformed_json` or `schema_mismatch`; `refusal`; or what `chat` raises. The last answer is its `raw`.
    """
    for sample in range(request.sample, request.sample + max_rounds):
        response = await chat.complete(request.model_copy(update={"sample": sample}))
        if response.finish_reason == "refusal":
            raise RecordError(REFUSAL, f"{chat.name} refused to answer", raw=response.text)
        try:
            return Structured(parse(response.text, model), sample)
        except UnparsableError as error:
            reason, fault = error.reason, str(error)
            if response.finish_reason == "length":
                reason, fault = TRUNCATED, f"cut off at max_tokens ({request.max_tokens}); {fault}"
    raise RecordError(
        reason,
        f"{max_rounds} answer{'s' if max_rounds > 1 else ''} of {chat.name} did not hold the JSON asked for "
        f"(the last: {fault})",
        raw=response.text,
    )


def parse(text: str, model: type[M]) -> M:
    """Return what a model's answer holds, by strict validation of it or of its repaired JSON.

    Raises:
        UnparsableError: If neither passes.
    """
    fault: ValidationError | None = None
    for candidate in _candidates(text):
        try:
            return model.model_validate_json(candidate, strict=True)
        except ValidationError as error:
            if fault is None or (_is_syntax(fault) and not _is_syntax(error)):
                fault = error  # a wrong value says more than wrong JSON
    assert fault is not None  # the text itself is a candidate
    if not text.strip():
        raise UnparsableError(EMPTY, "the answer is empty")
    raise UnparsableError(MALFORMED_JSON if _is_syntax(fault) else SCHEMA_MISMATCH, _in_one_line(fault))


def _candidates(text: str) -> Iterator[str]:
    yield text
    for number, start in enumerate(re.finditer(r"[{\[]", text)):
        if number == _MAX_STARTS:
            return
        repaired = _repair(text, start.start())
        if repaired is not None:
            yield repaired


def _repair(text: str, start: int) -> str | None:
    """Return the JSON value that begins at `start`, or None when its brackets do not match."""
    out: list[str] = []
    closers: list[str] = []
    whole: tuple[int, str] | None = None  # pieces up to the last whole element of the outermost list, and its closers
    in_string = False
    position = start
    while position < len(text):
        piece = text[position]
        if in_string:
            if piece == "\\":
                piece = text[position : position + 2]
            elif piece == '"':
                in_string = False
        elif piece == '"':
            in_string = True
        elif piece in "{[":
            closers.append("}" if piece == "{" else "]")
        elif piece in "}]":
            if closers.pop() != piece:
                return None
            while out[-1].isspace() or out[-1] == ",":
                out.pop()
        position += len(piece)
        out.append(f"\\u{ord(piece):04x}" if in_string and piece < " " else piece)
        if not closers:
            return "".join(out)
        if not in_string and piece in "}]," and closers[-1] == "]" and closers.count("]") == 1:
            whole = len(out) - (piece == ","), "".join(reversed(closers))
    return "".join(out[: whole[0]]) + whole[1] if whole else None


def _is_syntax(error: ValidationError) -> bool:
    return error.errors()[0]["type"] == "json_invalid"


def _in_one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]
