"""Rows of a question bank file, CSV, JSON or YAML, each with the line it begins on."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wmsforge.builtin.text_file import read_text
from wmsforge.errors import RecordError, StepError
from wmsforge.yaml import yaml12

Row = tuple[int, dict[str, Any] | RecordError]
"""(line, fields), or what is wrong with the row."""


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file: those of a table with a header, or the items of one list.

    Raises:
        StepError: If the file as a whole cannot be read.
    """
    return READERS[path.suffix](path, read_text(path))


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(path, first, cells)
            elif len(cells) > len(header):
                detail = f"{len(cells)} cells under {len(header)} columns; put text with commas in double quotes"
                yield first, RecordError("bad_row", detail, raw=",".join(cells))
            else:
                yield first, dict(zip(header, cells, strict=False))
    except csv.Error as error:
        raise StepError(f"{path}:{line}: the row that begins here is not CSV: {error}.\nCheck its quotes.") from error


def _header(path: Path, line: int, cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    if "question" not in names or len(set(names)) < len(names):
        raise StepError(
            f"{path}:{line}: the first row must name the columns, each once, and one of them 'question'; found "
            f"{', '.join(map(repr, cells))}.\nWrite it as: question,persona,topic,difficulty (the last three may be "
            "left out)."
        )
    return names


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    decoder = json.JSONDecoder()
    blank = re.compile(r"\s*")

    def skip(position: int) -> int:
        match = blank.match(text, position)
        assert match is not None  # it matches nothing at least
        return match.end()

    def wrong(position: int, message: str) -> StepError:
        line = text.count("\n", 0, position) + 1
        return StepError(f"{path}:{line}: {message}.\nA question bank in JSON is one list of objects or texts.")

    position = skip(0)
    if text[position : position + 1] != "[":
        raise wrong(position, f"expected '[', found {text[position : position + 20]!r}")
    line, counted = 1, 0
    position = skip(position + 1)
    while text[position : position + 1] != "]":
        line, counted = line + text.count("\n", counted, position), position
        try:
            item, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise wrong(error.pos, error.msg) from error
        yield line, _fields(item)
        position = skip(position)
        if text[position : position + 1] == ",":
            position = skip(position + 1)
        elif text[position : position + 1] != "]":
            raise wrong(position, "expected ',' or ']'")
    position = skip(position + 1)
    if position < len(text):
        raise wrong(position, "expected the end of the file")


def _yaml_rows(path: Path, text: str) -> Iterator[Row]:
    tree = yaml12.parse(text)
    if tree.problems:
        raise StepError("\n".join(problem.render(str(path)) for problem in sorted(tree.problems)))
    if not isinstance(tree.value, list):
        raise StepError(f"{path}:1: a question bank in YAML is one list of mappings or texts; this is none.")
    for index, item in enumerate(tree.value):
        yield tree.places[index,][0], _fields(item)


def _fields(item: Any) -> dict[str, Any] | RecordError:
    if isinstance(item, str):
        return {"question": item}
    if isinstance(item, dict):
        return item
    return RecordError("bad_row", f"must be a mapping with 'question', or a text; found {item!r}")


READERS: dict[str, Callable[[Path, str], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".json": _json_rows,
    ".yaml": _yaml_rows,
    ".yml": _yaml_rows,
}
"""By the file's suffix."""
