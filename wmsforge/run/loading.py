"""Runs a loader: sources in, Documents out, each content once."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from wmsforge.errors import RecordError, StepError
from wmsforge.records import Document
from wmsforge.run.step_run import StepRun
from wmsforge.steps.loader import Loader


async def run_loader(run: StepRun) -> None:
    """Load every source; a bad one is rejected with its reason and the others go on."""
    loader: Loader = await run.open(run.step.uses[0])
    seen: dict[bytes, str] = {}
    sources = await asyncio.to_thread(lambda: list(loader.sources()))
    for source in sources:
        run.counts.read += 1
        name = source.as_posix() if isinstance(source, Path) else source
        try:
            documents = await asyncio.to_thread(_load, loader, source)
        except RecordError as error:
            run.fail(name, error)
            continue
        run.counts.ok += 1
        for document in documents:
            twin = seen.get(_content(document))
            if twin is None:
                seen[_content(document)] = _place(document)
                run.keep(document)
            else:
                run.drop(document, "duplicate_content", f"the same text as {twin}")


def _load(loader: Loader, source: Path | str) -> list[Document]:
    try:
        return list(loader.load(source))
    except (RecordError, StepError):
        raise
    except Exception as error:  # files from the wild break parsers in ways no loader foresees
        raise RecordError("unreadable", f"{type(error).__name__}: {error}") from error


def _content(document: Document) -> bytes:
    return hashlib.blake2b(document.text.encode(), digest_size=16).digest()


def _place(document: Document) -> str:
    parts = [document.path]
    parts += [f"page {document.page}"] if document.page is not None else []
    parts += [f"row {document.row}"] if document.row is not None else []
    return ", ".join(parts)
