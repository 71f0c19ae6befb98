"""Files that appear whole or not at all, and a spool for rows that are read twice."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from wmsforge.files import sync_folder

Row = dict[str, Any]


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name only when the block ends well; what stood there stays till then."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


class Spool:
    """Rows on disk, in a file without a name: nothing is left of it whatever happens."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self.rows = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, row: Row) -> None:
        """Take the next row."""
        self._file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self.rows += 1

    def read(self) -> Iterator[Row]:
        """Yield all rows from the first."""
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)
