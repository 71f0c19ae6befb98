"""The held-out rows: a question, its reference answer, and the sources that the answer rests on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from wmsforge.errors import StepError

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A span of a document that the reference answer rests on."""

    path: str
    start: int
    end: int
    passage_id: str


@dataclass(frozen=True)
class HeldOut:
    """One row that the model was not trained on."""

    system: str
    question: str
    reference: str
    sources: tuple[Source, ...] = field(default=())
    """Empty where the row does not say."""


def read_held_out(path: Path, step: str) -> list[HeldOut]:
    """Return the rows of a `.json` list or `.jsonl` file of messages, ShareGPT or Alpaca.

    Raises:
        StepError: If the file cannot be read, or a row is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines() if line]
        return [_row(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StepError(
            f"Step {step!r}: the held-out rows in {path} cannot be read: {type(error).__name__}: {error}\n"
            f"Name the eval file of a dataset (messages-json, jsonl, sharegpt, alpaca): --set steps.{step}.rows=..."
        ) from error


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return `count` items evenly spread over all, the first among them; all if there are fewer."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def _row(row: dict[str, Any]) -> HeldOut:
    sources = row.get("metadata", {}).get("sources") or []
    cited = [one for one in sources if one.get("cited")] or sources
    return HeldOut(*_turns(row), sources=tuple(_source(one) for one in cited))


def _turns(row: dict[str, Any]) -> tuple[str, str, str]:
    if "messages" in row:
        turns = [(turn["role"], turn["content"]) for turn in row["messages"]]
    elif "conversations" in row:
        turns = [(turn["from"], turn["value"]) for turn in row["conversations"]]
    else:
        turns = [("user", row["instruction"]), ("assistant", row["output"])]
    system = next((text for who, text in turns if who == "system"), "")
    question = [text for who, text in turns if who in ("user", "human")][-1]
    return system, question, turns[-1][1]


def _source(one: dict[str, Any]) -> Source:
    start, end = one["span"]
    return Source(one["path"], start, end, one.get("passage_id", ""))
