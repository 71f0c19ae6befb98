"""Rows as JSON text: one list, or one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from wmsforge.builtin.dataset.files import Row


def write_list(rows: Iterable[Row], file: BinaryIO) -> None:
    """Write what `json.dumps(rows, indent=2)` gives, row by row."""
    separator = "[\n  "
    for row in rows:
        # Line ends inside strings are escaped, so each "\n" is one that indenting made.
        text = json.dumps(row, ensure_ascii=False, indent=2).replace("\n", "\n  ")
        file.write((separator + text).encode())
        separator = ",\n  "
    file.write(b"\n]\n")


def write_lines(rows: Iterable[Row], file: BinaryIO) -> None:
    """Write one JSON object a line."""
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def write_json(rows: Iterable[Row], file: BinaryIO, path: Path) -> None:
    """Write lines when the path ends in .jsonl, else a list."""
    (write_lines if path.suffix == ".jsonl" else write_list)(rows, file)
