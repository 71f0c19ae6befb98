"""Rows of a dataset as conversations, whatever format of wmsforge they were written in. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wmsforge.env.worker import JobError

Conversation = list[dict[str, str]]
"""Messages with "role" and "content"; the last is the assistant's."""

_ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


def read_rows(path: Path) -> list[Conversation]:
    """Return the conversations of a `.json` list or a `.jsonl` file: messages, ShareGPT or Alpaca.

    Raises:
        JobError: If the file cannot be read, or a row is none of these.
    """
    try:
        text = path.read_text(encoding="utf-8")
        lines = filter(str.strip, text.split("\n"))  # U+2028 in a text ends no line
        found = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise JobError(
            f"The rows in {path} cannot be read: {error}\n"
            f"Name a dataset file of messages-json, jsonl, sharegpt or alpaca: parity.rows."
        ) from error
    return [_conversation(row, path, number) for number, row in enumerate(found, 1)]


def spread(rows: Sequence[Conversation], count: int) -> list[Conversation]:
    """Return `count` rows evenly spread over all, the first among them; all if there are fewer."""
    if len(rows) <= count:
        return list(rows)
    return [rows[number * len(rows) // count] for number in range(count)]


def _conversation(row: Any, path: Path, number: int) -> Conversation:
    try:
        messages = _messages(row)
    except (KeyError, TypeError) as error:
        raise JobError(
            f"{path}, row {number}: no messages, conversations or instruction and output in it.\n"
            f"Name a dataset file of messages-json, jsonl, sharegpt or alpaca: parity.rows."
        ) from error
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    if not messages:
        raise JobError(f"{path}, row {number}: no answer of an assistant in it.\nTake the row out of the dataset.")
    return messages


def _messages(row: Any) -> Conversation:
    if "messages" in row:
        return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in row["messages"]]
    if "conversations" in row:
        return [{"role": _ROLES[turn["from"]], "content": str(turn["value"])} for turn in row["conversations"]]
    question = "\n\n".join(part for part in (row["instruction"], row.get("input", "")) if part)
    return [{"role": "user", "content": question}, {"role": "assistant", "content": str(row["output"])}]
