"""`messages-json`: one JSON list of messages and metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, ClassVar

from wmsforge.builtin.dataset.exporter import MessagesExporter, MessagesOptions
from wmsforge.builtin.dataset.files import Row
from wmsforge.builtin.dataset.json_text import write_list
from wmsforge.options import Options


class MessagesJsonOptions(MessagesOptions):
    """Options of `messages-json`."""

    suffixes = (".json",)


class MessagesJson(MessagesExporter):
    """Writes a list that people can read and `datasets.load_dataset` too."""

    Options: ClassVar[type[Options]] = MessagesJsonOptions
    format = "messages-json"

    def write(self, rows: Iterable[Row], file: BinaryIO) -> None:
        write_list(rows, file)
