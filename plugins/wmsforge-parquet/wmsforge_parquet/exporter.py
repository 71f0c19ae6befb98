"""`parquet`: the rows of `messages-json` as typed nested columns."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from pydantic import Field

from wmsforge.builtin.dataset.exporter import MessagesExporter, MessagesOptions
from wmsforge.builtin.dataset.files import Row
from wmsforge.builtin.dataset.rows import columns
from wmsforge.options import Options

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetOptions(MessagesOptions):
    """Options of `parquet`."""

    suffixes = (".parquet",)

    row_group_rows: int = Field(
        default=1000, ge=1, description="Rows of a row group; that many are in memory at once while writing."
    )


class Parquet(MessagesExporter):
    """Writes one file of zstd-compressed row groups."""

    Options: ClassVar[type[Options]] = ParquetOptions
    format = "parquet"

    def write(self, rows: Iterable[Row], file: BinaryIO) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = arrow_schema(columns(self.row_type))
        left = iter(rows)
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            while group := list(islice(left, self.options.row_group_rows)):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))


def arrow_schema(row: list[dict[str, Any]]) -> pa.Schema:
    """Return the Arrow schema of a row, given as `wmsforge.builtin.dataset.rows.columns` describes it."""
    import pyarrow as pa

    return pa.schema([(column["name"], _arrow_type(column)) for column in row])


def _arrow_type(column: dict[str, Any]) -> pa.DataType:
    import pyarrow as pa

    if "dtype" in column:
        return pa.type_for_alias(column["dtype"])
    if "struct" in column:
        return pa.struct([(inner["name"], _arrow_type(inner)) for inner in column["struct"]])
    items = column["list"]
    return pa.list_(_arrow_type({"dtype": items} if isinstance(items, str) else {"struct": items}))
