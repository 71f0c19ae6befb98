"""The held-out rows: a conversation, its reference answer, and the sources that the answer rests on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from wmsforge.errors import StepError

T = TypeVar("T")
Message = dict[str, str]
_ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


@dataclass(frozen=True)
class Source:
    """A passage that the reference answer rests on."""

    path: str
    start: int
    end: int
    passage_id: str = ""
    section: str = ""
    row: int | None = None
    page: int | None = None

    @property
    def part(self) -> tuple[str, str, str | int | None]:
        """The smallest named part of a file that holds it, as the dataset's split sees it."""
        if self.row is not None:
            return self.path, "row", self.row
        return (self.path, "section", self.section) if self.section else (self.path, "page", self.page)


@dataclass(frozen=True)
class HeldOut:
    """One row that the model was not trained on."""

    messages: Sequence[Message]
    """The conversation up to the answer."""
    reference: str
    sources: tuple[Source, ...] = ()
    """Empty where the row does not say."""

    @property
    def question(self) -> str:
        return next(turn["content"] for turn in reversed(self.messages) if turn["role"] == "user")


def read_held_out(path: Path, step: str) -> list[HeldOut]:
    """Return the rows of a `.json` list or `.jsonl` file of messages, ShareGPT or Alpaca.

    Raises:
        StepError: If the file cannot be read, or a row is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
        lines = filter(str.strip, text.split("\n"))  # U+2028 in a text ends no line
        rows = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in lines]
        return [_row(number, row) for number, row in enumerate(rows, 1)]
    except (OSError, ValueError) as error:
        raise StepError(
            f"Step {step!r}: the held-out rows in {path} cannot be read: {error}\n"
            f"Name the eval file of a dataset (messages-json, jsonl, sharegpt, alpaca): --set steps.{step}.rows=..."
        ) from error


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return `count` items evenly spread over all, the first among them; all if there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _row(number: int, row: dict[str, Any]) -> HeldOut:
    try:
        messages = _messages(row)
    except (KeyError, TypeError) as error:
        raise ValueError(f"row {number}: no messages, conversations or instruction and output in it") from error
    if not all(isinstance(turn["content"], str) for turn in messages):
        raise ValueError(f"row {number}: a turn of it has no text")
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    if not any(turn["role"] == "user" for turn in messages):
        raise ValueError(f"row {number}: no answer of an assistant to a user in it")
    try:
        sources = (row.get("metadata") or {}).get("sources") or []
        cited = [one for one in sources if one.get("cited")] or sources
        rests_on = tuple(_source(one) for one in cited)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"row {number}: a source in its metadata has no path and span; leave such sources out"
        ) from error
    return HeldOut(messages[:-1], messages[-1]["content"], rests_on)


def _messages(row: dict[str, Any]) -> list[Message]:
    if "messages" in row:
        return [{"role": turn["role"], "content": turn["content"]} for turn in row["messages"]]
    if "conversations" in row:
        return [{"role": _ROLES[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
    question = "\n\n".join(part for part in (row["instruction"], row.get("input", "")) if part)
    return [{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}]


def _source(one: dict[str, Any]) -> Source:
    start, end = one["span"]
    names = ("passage_id", "section", "row", "page")
    return Source(one["path"], start, end, **{name: one[name] for name in names if name in one})
