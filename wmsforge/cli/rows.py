"""The rows that a step left on disk, as JSON values, one at a time and without the plugin that made them."""

from __future__ import annotations

import json
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from wmsforge.errors import WmsforgeError

CHUNK_CHARS = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


def store_rows(folder: Path) -> Iterator[Any]:
    """Yield the records of a store in their order, also of one that is being written or was interrupted."""
    for part in sorted(folder.glob("part-*.jsonl*")):
        yield from json_lines(part)


def json_lines(path: Path) -> Iterator[Any]:
    """Yield the values of a JSONL file; a last line without its end is left out.

    Raises:
        WmsforgeError: If a line is not JSON.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):  # what is being written, or was torn by a crash, has no end yet
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise _damaged(path, f"line {number}: {error}") from error


def count_lines(paths: Iterable[Path]) -> int:
    """Return how many whole lines some files hold, without parsing them."""
    return sum(chunk.count(b"\n") for path in paths for chunk in _chunks(path))


def last_json_line(path: Path) -> Any:
    """Return the last value of a JSONL file, an empty mapping when there is none."""
    last = deque(json_lines(path), maxlen=1) if path.is_file() else ()
    return last[0] if last else {}


def json_list(path: Path) -> Iterator[Any]:
    """Yield the objects of a file that holds one JSON list of objects, without reading it whole.

    Raises:
        WmsforgeError: If it holds anything else.
    """
    decoder = json.JSONDecoder()
    with path.open(encoding="utf-8-sig") as file:
        text, at = file.read(CHUNK_CHARS).lstrip(), 1
        if not text.startswith("["):
            raise _damaged(path, "it does not begin with '['")
        while True:
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing at least
            try:
                row, at = decoder.raw_decode(text, at)
            except ValueError as error:
                more = file.read(CHUNK_CHARS)  # the object goes on in what was not read yet
                if not more:
                    if text[at:].strip() == "]":
                        return
                    raise _damaged(path, str(error)) from error
                text, at = text[at:] + more, 0
                continue
            yield row


def first(rows: Iterable[Any], count: int) -> list[tuple[int, Any]]:
    """Return the first rows with their numbers, from 1."""
    return list(islice(enumerate(rows, start=1), count))


def sample(rows: Iterable[Any], count: int, seed: int) -> list[tuple[int, Any]]:
    """Return rows chosen at random with their numbers, in their order; every row is as likely as another."""
    chooser = random.Random(seed)
    chosen: list[tuple[int, Any]] = []
    for number, row in enumerate(rows, start=1):
        if len(chosen) < count:
            chosen.append((number, row))
        elif (place := chooser.randrange(number)) < count:
            chosen[place] = (number, row)
    return sorted(chosen, key=lambda pair: pair[0])


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_CHARS):
            yield chunk


def _damaged(path: Path, what: str) -> WmsforgeError:
    return WmsforgeError(f"{path} cannot be read: {what}.\nIt was changed by hand or is damaged; run the recipe again.")
