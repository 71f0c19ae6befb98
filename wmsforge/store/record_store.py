"""The records of one step on disk, readable while they are being written.

A store is written under `<step>.partial/` and renamed to `<step>/` when complete, so the last
complete output stays until there is a new one. Followers read the same files: a step that runs
ahead fills the disk and not the memory.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from pydantic import BaseModel, Field

from wmsforge.errors import StepError
from wmsforge.files import sync_folder
from wmsforge.records import Record
from wmsforge.store.manifest import Manifest

PART_RECORDS = 10_000
BATCH_RECORDS = 256
REJECTED = "rejected.jsonl"

R = TypeVar("R", bound=Record)


def part_name(number: int) -> str:
    return f"part-{number:05d}.jsonl"


class Rejection(BaseModel):
    """A line of rejected.jsonl: a record that was not kept, and why."""

    id: str
    reason: str
    detail: str = ""
    record: Any = None
    raw: str | None = None
    calls: list[str] | None = Field(default=None, description="Keys of the calls made for it, as the ledger has them.")


class RecordStore(Generic[R]):
    """One step's records: written in order, followed by any number of readers."""

    def __init__(self, folder: Path, record_type: type[R]) -> None:
        self.folder = folder
        self._type = record_type
        self.written = 0
        self._reading_from = folder
        self._closed = asyncio.Event()
        self._more = asyncio.Event()
        self._part: IO[bytes] | None = None
        self._rejected: IO[bytes] | None = None
        self._digest = hashlib.sha256()
        self.bytes = 0

    @classmethod
    def complete(cls, folder: Path, record_type: type[R], manifest: Manifest) -> RecordStore[R]:
        """Open a finished store."""
        store = cls(folder, record_type)
        store.written = manifest.counts.out
        store._closed.set()
        return store

    def start(self) -> None:
        """Begin writing; what an interrupted run left is removed (its calls are in the ledger)."""
        self._reading_from = self.folder.with_name(self.folder.name + ".partial")
        shutil.rmtree(self._reading_from, ignore_errors=True)
        self._reading_from.mkdir(parents=True)
        self._rejected = (self._reading_from / REJECTED).open("wb")

    def write(self, record: R) -> None:
        """Append one record."""
        if self.written % PART_RECORDS == 0:
            self._finish_part()
            self._part = (self._reading_from / (part_name(self.written // PART_RECORDS) + ".tmp")).open("wb")
        line = record.model_dump_json().encode() + b"\n"
        assert self._part is not None  # opened with the first record of each part
        self._part.write(line)
        self._digest.update(line)
        self.bytes += len(line)
        self.written += 1
        self._more.set()

    def reject(self, rejection: Rejection) -> None:
        """Append one rejected record."""
        assert self._rejected is not None  # start() opened it
        self._rejected.write(rejection.model_dump_json(exclude_none=True).encode() + b"\n")

    def digest(self) -> str:
        """Return the SHA-256 of all records' lines so far, hex."""
        return self._digest.hexdigest()

    def finish(self, manifest: Manifest) -> None:
        """Put the complete store in place, manifest last."""
        self._finish_part()
        assert self._rejected is not None  # start() opened it
        _close_durably(self._rejected)
        manifest.write(self._reading_from)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._reading_from.rename(self.folder)
        sync_folder(self.folder.parent)
        self._reading_from = self.folder
        self._closed.set()
        self._more.set()

    def abandon(self) -> None:
        """Close the files of a step that did not finish; what was written stays to be looked at."""
        for file in (self._part, self._rejected):
            if file is not None:
                with suppress(OSError):  # the disk may be full, which is why the step did not finish
                    file.close()
        self._part = self._rejected = None

    def _finish_part(self) -> None:
        if self._part is not None:
            _close_durably(self._part)
            temporary = Path(self._part.name)
            temporary.rename(temporary.with_suffix(""))
            self._part = None

    async def follow(self) -> AsyncIterator[list[R]]:
        """Yield all records in batches, waiting for those not written yet."""
        seen = 0
        file: IO[bytes] | None = None
        try:
            while True:
                if seen == self.written:
                    if self._closed.is_set():
                        return
                    self._more.clear()
                    await self._more.wait()
                    continue
                if self._part is not None:
                    self._part.flush()
                part, offset = divmod(seen, PART_RECORDS)
                if offset == 0:
                    if file is not None:
                        file.close()
                    file = self._open_part(part)
                assert file is not None  # offset 0 came first
                size = min(self.written - seen, PART_RECORDS - offset, BATCH_RECORDS)
                yield [self._parse(file.readline(), part) for _ in range(size)]
                seen += size
        finally:
            if file is not None:
                file.close()

    def read(self) -> Iterator[R]:
        """Yield all records of a finished store, one part in memory at a time or less."""
        for first in range(0, self.written, PART_RECORDS):
            part = first // PART_RECORDS
            with self._open_part(part) as file:
                for _ in range(min(PART_RECORDS, self.written - first)):
                    yield self._parse(file.readline(), part)

    def _open_part(self, number: int) -> IO[bytes]:
        final = self._reading_from / part_name(number)
        try:
            return (final if final.exists() else final.with_name(final.name + ".tmp")).open("rb")
        except FileNotFoundError as error:
            raise StepError(f"{final} is missing.\n{self._make_again()}") from error

    def _make_again(self) -> str:
        return (
            f"The store was changed by hand or is damaged. Make it again: remove {self.folder} and run again. "
            f"Stored model calls are kept."
        )

    def _parse(self, line: bytes, part: int) -> R:
        try:
            return self._type.model_validate_json(line)
        except ValueError as error:
            path = self._reading_from / part_name(part)
            raise StepError(
                f"{path} holds a line that is no {self._type.__name__}: {str(error).splitlines()[0]}.\n"
                f"{self._make_again()}"
            ) from error


def parts_size(folder: Path) -> int:
    """Return the bytes of a store's parts."""
    return sum(part.stat().st_size for part in folder.glob("part-*.jsonl"))


def read_rejected(folder: Path) -> Iterator[Rejection]:
    """Yield what a step rejected, in the order of its input."""
    path = folder / REJECTED
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):  # the last line of an interrupted run may be torn
                    yield Rejection.model_validate(json.loads(line))


def _close_durably(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
