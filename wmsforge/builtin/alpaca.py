"""`alpaca`: instruction, input, output; with the same metadata as every format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO

from pydantic import BaseModel, Field

from wmsforge.builtin.dataset.exporter import RowExporter
from wmsforge.builtin.dataset.files import Row
from wmsforge.builtin.dataset.json_text import write_json
from wmsforge.builtin.dataset.rows import Metadata, metadata
from wmsforge.records import Answer
from wmsforge.steps.exporter import Origin


class AlpacaRow(BaseModel):
    """A row of `alpaca`; trainers read the first three and pass over the metadata."""

    instruction: str = Field(description="The question.")
    input: str = Field(description="Always empty: the question needs nothing beside it.")
    output: str = Field(description="The answer.")
    metadata: Metadata = Field(description="Where the row comes from.")


class Alpaca(RowExporter):
    """Writes a JSON list, or lines when the path ends in .jsonl."""

    format = "alpaca"
    row_type = AlpacaRow

    def row(self, answer: Answer, origin: Origin) -> AlpacaRow:
        return AlpacaRow(
            instruction=answer.question.text,
            input="",
            output=answer.text_with_sources,
            metadata=metadata(answer, origin),
        )

    def write(self, rows: Iterable[Row], file: BinaryIO) -> None:
        write_json(rows, file, self.options.path)
