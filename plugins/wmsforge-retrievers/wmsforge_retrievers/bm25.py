"""The retriever `bm25`: Okapi BM25 over the Korean morphemes of passages and queries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import Field
from wmsforge_korean.morphemes import CONTENT_TAGS, TRADE_WORDS, kiwi, morphemes

from wmsforge.errors import StepError
from wmsforge_retrievers.database import IndexDatabase
from wmsforge_retrievers.passage_index import ChunkOptions, PassageIndex, PlacedText

_TAGS = sorted(CONTENT_TAGS)


class Bm25Retriever(PassageIndex):
    """Ranks passages by the morphemes they share with the query; a passage that shares none is not found.

    The index itself is made in memory from the kept morphemes: about 8 microseconds a passage.

    Source: Robertson and Zaragoza (2009) with the idf of Lucene, by the package bm25s; title and headings
    weighted by repetition as in Robertson, Zaragoza and Taylor (2004).
    """

    class Options(ChunkOptions):
        title_weight: int = Field(
            default=5, ge=0, description="How often the title and the headings of a passage count; 0 leaves them out."
        )
        k1: float = Field(default=1.2, ge=0, description="How much a morpheme's repetition counts; 0 counts it once.")
        b: float = Field(default=0.75, ge=0, le=1, description="How much a long passage is held back; 0 not at all.")

    name = "bm25"

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), **self.encoder()}

    def encoder(self) -> Mapping[str, Any]:
        # Another analyser cuts other morphemes, and queries would then miss the indexed ones.
        return {
            "kiwipiepy": version("kiwipiepy"),
            "kiwipiepy_model": version("kiwipiepy_model"),
            "tags": _TAGS,
            "words": sorted(TRADE_WORDS),
        }

    async def open(self) -> None:
        await asyncio.to_thread(kiwi)

    async def encode(self, texts: Sequence[PlacedText]) -> list[bytes]:
        return await asyncio.to_thread(lambda: [_code(placed) for placed in texts])

    def make(self, codes: Sequence[bytes]) -> Mapping[str, Any]:
        import bm25s

        own = self.options
        fields = (json.loads(code) for code in codes)
        words = [place * own.title_weight + text for place, text in fields]
        if not any(words):
            raise StepError(
                f"Step {self.context.step!r} has no word to index: its {len(words)} passages hold only signs.\n"
                "See them: wmsforge peek the step that it reads from"
            )
        self._index = bm25s.BM25(method="lucene", k1=own.k1, b=own.b)
        self._index.index(words, show_progress=False)
        return {}

    def reopen(self, database: IndexDatabase) -> None:
        self.make(self._codes(database, self._passages))

    async def rank(self, query: str, top_k: int) -> list[tuple[int, float]]:
        tokens = morphemes(query)
        if not tokens:
            return []
        (positions,), (scores,) = self._index.retrieve(
            [tokens], k=min(top_k, len(self._passages)), show_progress=False, return_as="tuple"
        )
        # bm25s fills up with passages that share nothing, at score 0.
        return [(int(position), float(score)) for position, score in zip(positions, scores, strict=True) if score > 0]


def _code(placed: PlacedText) -> bytes:
    return json.dumps([morphemes(placed.place), morphemes(placed.text)], ensure_ascii=False).encode()
