"""`jsonl`: the rows of `messages-json`, one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, ClassVar

from wmsforge.builtin.dataset.exporter import MessagesExporter, MessagesOptions
from wmsforge.builtin.dataset.files import Row
from wmsforge.builtin.dataset.json_text import write_lines
from wmsforge.options import Options


class JsonlOptions(MessagesOptions):
    """Options of `jsonl`."""

    suffixes = (".jsonl",)


class Jsonl(MessagesExporter):
    """Writes lines, the form to stream or append."""

    Options: ClassVar[type[Options]] = JsonlOptions
    format = "jsonl"

    def write(self, rows: Iterable[Row], file: BinaryIO) -> None:
        write_lines(rows, file)
