"""What `faiss` and `bm25` share: split documents, encode only new texts, keep both, find again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from abc import abstractmethod
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import Field, model_validator

from wmsforge import options
from wmsforge.errors import StepError
from wmsforge.records import Artifact, Document, Passage, Retrieved
from wmsforge.steps.retriever import Retriever
from wmsforge_retrievers.database import IndexDatabase
from wmsforge_retrievers.sections import SEPARATOR
from wmsforge_retrievers.splitter import PassageSplitter

_TITLE_CHARS = 200
"""A title counts no further: it goes into the index with every passage."""


class ChunkOptions(options.Options):
    """How documents are cut; retrievers with the same values give the same passages."""

    chunk_chars: int = Field(default=500, ge=50, description="Most characters of a passage.")
    overlap_chars: int = Field(
        default=100,
        ge=0,
        description="Most characters a passage repeats from the one before it where a section had to be cut; "
        "at most half of chunk_chars.",
    )

    @model_validator(mode="after")
    def _overlap_is_at_most_half(self) -> ChunkOptions:
        if self.overlap_chars > self.chunk_chars // 2:
            raise ValueError(
                f"overlap_chars must be at most half of chunk_chars ({self.chunk_chars // 2}), got {self.overlap_chars}"
            )
        return self


class PlacedText(NamedTuple):
    """A text with the title and the headings that it stands under, joined; they say what it is about."""

    place: str
    text: str


class PassageIndex(Retriever):
    """A retriever over the passages of its documents.

    Each text has a code (its vector, its morphemes) that is costly to make; codes are kept by text,
    so that changed documents cost only their own. A subclass says how to encode and how to rank.
    """

    name: ClassVar[str]
    """Of the component; begins the names of its files, so that a step may change its retriever and back."""
    batch_texts: int = 64
    """Texts encoded between two commits: the most that a kill can cost for each batch under way."""
    batches_at_once: int = 1
    _passages: Sequence[Passage]

    @abstractmethod
    def encoder(self) -> Mapping[str, Any]:
        """Return the JSON values that decide a text's code; other values make every code anew."""

    @abstractmethod
    async def encode(self, texts: Sequence[PlacedText]) -> list[bytes]:
        """Return the code of each text."""

    @abstractmethod
    def make(self, codes: Sequence[bytes]) -> Mapping[str, Any]:
        """Make the index of these codes, ready for `rank`; return the facts that `reopen` needs."""

    @abstractmethod
    def reopen(self, database: IndexDatabase) -> None:
        """Open what `make` left, ready for `rank`.

        Raises:
            StepError: If it is missing or torn.
        """

    @abstractmethod
    async def rank(self, query: str, top_k: int) -> list[tuple[int, float]]:
        """Return at most `top_k` pairs of a passage's position and its score, best first."""

    async def build(self, documents: Iterable[Document]) -> Artifact:
        """Index these documents, encoding only texts that were not in the index before.

        Raises:
            StepError: If the documents hold no text.
        """
        passages = await asyncio.to_thread(self._split, documents)
        if not passages:
            raise StepError(
                f"Step {self.context.step!r} has no text to index: its documents are empty.\n"
                "See what was loaded: wmsforge peek the step that it reads from"
            )
        self._drop_damaged_database()
        with IndexDatabase(self._path) as database:
            self._announce_changes(database.meta("settings"))
            texts = {self._key(text): text for text in map(placed_text, passages)}
            encoded = await self._encode_missing(database, texts)
            facts = await asyncio.to_thread(self.make, self._codes(database, passages))
            database.finish(passages, texts, {"settings": self._settings(), "made": facts})
        self._passages = passages
        return Artifact(
            kind="index",
            path=str(self.context.folder),
            facts={"passages": len(passages), "encoded": encoded, "digest": _digest(p.id for p in passages)},
        )

    async def load(self) -> None:
        """Open the index that `build` left.

        Raises:
            StepError: If it is missing, torn, or was made with other settings.
        """
        if not self._path.exists():
            raise self.unusable("is not built")
        try:
            with IndexDatabase(self._path) as database:
                settings = database.meta("settings")
                if settings is None:
                    raise self.unusable("is not finished")
                if settings != self._settings():
                    raise self.unusable(f"was made with other settings ({_changes(settings, self._settings())})")
                self._passages = database.passages()
                await asyncio.to_thread(self.reopen, database)
        except sqlite3.DatabaseError as error:
            raise self.unusable(f"cannot be read ({error})") from error

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        """Return at most `top_k` passages, best first; equal scores in the order of their ids."""
        if not query.strip():
            return []
        found = [
            Retrieved(passage=self._passages[position], score=score)
            for position, score in await self.rank(query, top_k)
        ]
        return sorted(found, key=lambda hit: (-hit.score, hit.passage.id))

    def keep_codes(self, codes: Iterable[tuple[Document, bytes]]) -> int:
        """Keep codes that were made elsewhere, of documents whose text alone they stand for, until the next `build`.

        Return how many of the documents are one passage without title and headings: the others' codes are of no use.
        """
        kept: dict[str, bytes] = {}
        usable = 0
        for document, code in codes:
            passages = self._split([document])
            texts = [placed_text(passage) for passage in passages]
            if texts == [PlacedText("", document.text.strip())]:
                kept[self._key(texts[0])] = code
                usable += 1
        self._drop_damaged_database()
        with IndexDatabase(self._path) as database:
            database.add_codes(kept)
        return usable

    def unusable(self, what: str) -> StepError:
        """Return the error for an index that must be built again."""
        return StepError(
            f"The index of step {self.context.step!r} in {self.context.folder} {what}.\n"
            f"Build it: wmsforge run RECIPE --from {self.context.step}"
        )

    def _codes(self, database: IndexDatabase, passages: Sequence[Passage]) -> list[bytes]:
        """Return the passages' codes in their order."""
        keys = [self._key(placed_text(passage)) for passage in passages]
        codes = database.codes(set(keys))
        missing = len(set(keys)) - len(codes)
        if missing:
            raise self.unusable(f"lacks {missing} codes")
        return [codes[key] for key in keys]

    @property
    def _path(self) -> Path:
        return self.context.folder / f"{self.name}.sqlite"

    def _settings(self) -> dict[str, Any]:
        own: options.Options = self.options
        chunks = {name: getattr(own, name) for name in ChunkOptions.model_fields}
        return {"version": self.version, **chunks, **self.encoder()}

    def _key(self, text: PlacedText) -> str:
        return _digest([json.dumps(self.encoder(), sort_keys=True), text.place, text.text])

    def _split(self, documents: Iterable[Document]) -> list[Passage]:
        splitter = PassageSplitter(self.options.chunk_chars, self.options.overlap_chars)
        return [passage for document in documents for passage in splitter.split(document)]

    async def _encode_missing(self, database: IndexDatabase, texts: Mapping[str, PlacedText]) -> int:
        known = database.codes(texts)
        missing = [key for key in texts if key not in known]
        batches = iter(
            [missing[start : start + self.batch_texts] for start in range(0, len(missing), self.batch_texts)]
        )

        async def encode_next() -> None:
            for keys in batches:
                codes = await self.encode([texts[key] for key in keys])
                database.add_codes(dict(zip(keys, codes, strict=True)))

        await _together([encode_next() for _ in range(self.batches_at_once)])
        return len(missing)

    def _drop_damaged_database(self) -> None:
        try:
            with IndexDatabase(self._path):
                return
        except sqlite3.OperationalError:
            raise  # locked or out of space: the data is fine
        except sqlite3.DatabaseError as error:
            self.context.warn(f"The index of step {self.context.step!r} is damaged ({error}); it is built anew.")
            self._path.unlink()

    def _announce_changes(self, before: Mapping[str, Any] | None) -> None:
        now = self._settings()
        if before is not None and before != now:
            self.context.warn(
                f"The index of step {self.context.step!r} was made with other settings "
                f"({_changes(before, now)}); it is built anew."
            )


def placed_text(passage: Passage) -> PlacedText:
    """Return what is indexed for a passage; a title that is also the first heading counts once."""
    place = passage.section.split(SEPARATOR) if passage.section else []
    title = passage.title[:_TITLE_CHARS]
    if title and title not in place:
        place.insert(0, title)
    return PlacedText(SEPARATOR.join(place), passage.text)


async def _together(workers: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all; the first error ends the others and is raised as it is, not in a group."""
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "; ".join(f"{name}: {before.get(name)} -> {now.get(name)}" for name in names)


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()
