"""Rows of a dataset as conversations, whatever format of wmsforge they were written in."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmsforge.env.worker import JobError

Messages = list[dict[str, str]]
"""Turns with "role" and "content"."""
_ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


@dataclass(frozen=True)
class Row:
    """One conversation and where it stands."""

    file: str
    number: int
    """1-based, in the file."""
    messages: Messages
    metadata: Any = None
    """What the row says about itself, such as the sources of its answer."""


def read_rows(path: Path) -> list[Row]:
    """Return the conversations of a file: messages, ShareGPT or Alpaca, as .json, .jsonl or .parquet.

    Raises:
        JobError: If it cannot be read, or a row is none of these.
    """
    try:
        found = _read(path)
    except (OSError, ValueError) as error:
        raise JobError(
            f"The dataset {path} cannot be read: {error}\n"
            f"Train on a step that writes messages-json, jsonl, sharegpt, alpaca or parquet."
        ) from error
    if not found:
        raise JobError(
            f"The dataset {path} has no rows.\nSee what its filters dropped: wmsforge peek RECIPE --rejected"
        )
    rows = []
    for number, row in enumerate(found, 1):
        try:
            rows.append(Row(path.name, number, _messages(row), row.get("metadata")))
        except (AttributeError, KeyError, TypeError) as error:
            raise JobError(
                f"{path}, row {number}: there are no messages, conversations, or instruction and output in it.\n"
                f"Train on a step that writes messages-json, jsonl, sharegpt, alpaca or parquet."
            ) from error
    return rows


def hold_out(rows: list[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return the rows to train on and those held out, each in the dataset's order; the seed chooses them.

    At least one row is held out where a share is asked for and two rows are there.
    """
    if not share or len(rows) < 2:
        return rows, []
    chosen = set(random.Random(seed).sample(range(len(rows)), max(1, round(share * len(rows)))))
    return (
        [row for place, row in enumerate(rows) if place not in chosen],
        [row for place, row in enumerate(rows) if place in chosen],
    )


def write_rows(path: Path, rows: list[Row]) -> None:
    """Write conversations as JSON lines, for whoever measures on the same rows."""
    told = ({"messages": row.messages} | ({"metadata": row.metadata} if row.metadata else {}) for row in rows)
    lines = (json.dumps(row, ensure_ascii=False) for row in told)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _read(path: Path) -> list[Any]:
    if path.suffix == ".parquet":
        import pyarrow.parquet as parquet

        return list(parquet.read_table(path).to_pylist())
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        found = json.loads(text)
        if not isinstance(found, list):
            raise ValueError("it is no list of rows")
        return found
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _messages(row: Any) -> Messages:
    if row.get("messages") is not None:
        return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in row["messages"]]
    if row.get("conversations") is not None:
        return [{"role": _ROLES[turn["from"]], "content": str(turn["value"])} for turn in row["conversations"]]
    question = "\n\n".join(part for part in (row["instruction"], row.get("input", "")) if part)
    return [{"role": "user", "content": question}, {"role": "assistant", "content": str(row["output"])}]
