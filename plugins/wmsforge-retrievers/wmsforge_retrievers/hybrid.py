"""The retriever `hybrid`: one ranking out of several retrievers' rankings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from pydantic import Field

from wmsforge import options
from wmsforge.options import Ref, RetrieverRef
from wmsforge.records import Artifact, Document, Passage, Retrieved
from wmsforge.steps.retriever import Retriever


class HybridRetriever(Retriever):
    """Asks several retrievers and fuses their rankings by reciprocal rank.

    Source: Cormack, Clarke and Buettcher (2009), reciprocal rank fusion.
    """

    class Options(options.Options):
        retrievers: tuple[RetrieverRef, ...] = Field(
            default=(Ref("retriever", name="faiss"), Ref("retriever", name="bm25")),
            min_length=2,
            description="The retrievers to fuse, by name or inline; give them the same chunk options.",
        )
        k: int = Field(default=60, ge=1, description="Rank constant: a passage at rank r counts 1 / (k + r).")
        depth: int = Field(default=100, ge=1, description="Passages asked of each retriever.")

    async def open(self) -> None:
        self._retrievers = [await self.context.retriever(ref) for ref in self.options.retrievers]

    async def build(self, documents: Iterable[Document]) -> Artifact:
        documents = list(documents)
        built = [await retriever.build(documents) for retriever in self._retrievers]
        digests = {artifact.facts["digest"] for artifact in built if "digest" in artifact.facts}
        if len(digests) > 1:
            self.context.warn(
                f"The retrievers of step {self.context.step!r} cut the documents differently, so that few passages "
                "are found by more than one. Give them the same chunk options."
            )
        return Artifact(
            kind="index", path=str(self.context.folder), facts={"retrievers": [artifact.facts for artifact in built]}
        )

    async def load(self) -> None:
        for retriever in self._retrievers:
            await retriever.load()

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        depth = max(top_k, self.options.depth)
        rankings = await asyncio.gather(*(retriever.search(query, depth) for retriever in self._retrievers))
        scores: dict[str, float] = {}
        passages: dict[str, Passage] = {}
        for ranking in rankings:
            for rank, hit in enumerate(ranking, start=1):
                passages[hit.passage.id] = hit.passage
                scores[hit.passage.id] = scores.get(hit.passage.id, 0.0) + 1 / (self.options.k + rank)
        best = sorted(scores, key=lambda passage_id: (-scores[passage_id], passage_id))[:top_k]
        return [Retrieved(passage=passages[passage_id], score=scores[passage_id]) for passage_id in best]
