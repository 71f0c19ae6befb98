"""`sharegpt`: conversations of human and gpt turns; with the same metadata as every format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, ClassVar, Literal

from pydantic import BaseModel, Field

from wmsforge.builtin.dataset.exporter import MessagesOptions, RowExporter
from wmsforge.builtin.dataset.files import Row
from wmsforge.builtin.dataset.json_text import write_json
from wmsforge.builtin.dataset.rows import Metadata, messages_row
from wmsforge.options import Options
from wmsforge.records import Answer
from wmsforge.steps.exporter import Origin

_SPEAKERS: dict[str, Literal["system", "human", "gpt"]] = {"system": "system", "user": "human", "assistant": "gpt"}


class ShareGptTurn(BaseModel):
    """One turn."""

    from_: Literal["system", "human", "gpt"] = Field(serialization_alias="from", description="Who speaks.")
    value: str = Field(description="What is said.")


class ShareGptRow(BaseModel):
    """A row of `sharegpt`; trainers read the conversations and pass over the metadata."""

    conversations: list[ShareGptTurn] = Field(description="An optional system prompt, question, answer.")
    metadata: Metadata = Field(description="Where the row comes from.")


class ShareGpt(RowExporter):
    """Writes a JSON list, or lines when the path ends in .jsonl."""

    Options: ClassVar[type[Options]] = MessagesOptions
    format = "sharegpt"
    row_type = ShareGptRow

    def row(self, answer: Answer, origin: Origin) -> ShareGptRow:
        same = messages_row(answer, origin, self.options.system)
        turns = [ShareGptTurn(from_=_SPEAKERS[turn.role], value=turn.content) for turn in same.messages]
        return ShareGptRow(conversations=turns, metadata=same.metadata)

    def write(self, rows: Iterable[Row], file: BinaryIO) -> None:
        write_json(rows, file, self.options.path)
