"""The retriever `hybrid`: one ranking out of several retrievers' rankings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from wmsforge import options
from wmsforge.options import Ref, RetrieverRef
from wmsforge.records import Artifact, Document, Retrieved
from wmsforge.steps.retriever import Retriever
from wmsforge.steps.vectors import Embedded, VectorTarget
from wmsforge_retrievers.fusion import by_rank, by_score


class HybridRetriever(Retriever, VectorTarget):
    """Asks several retrievers and fuses what they find.

    An inline retriever is built here, in a folder of its own; one that is a step has built itself.
    """

    class Options(options.Options):
        retrievers: tuple[RetrieverRef, ...] = Field(
            default=(Ref("retriever", name="faiss"), Ref("retriever", name="bm25")),
            min_length=2,
            description="The retrievers to fuse; give them the same chunk options, or no passage is found by both.",
        )
        fusion: Literal["scores", "ranks"] = Field(
            default="scores",
            description="scores: the weighted mean of each retriever's scores, scaled to 0..1 for the query; "
            "ranks: reciprocal rank fusion, for retrievers whose scores say little.",
        )
        weights: tuple[float, ...] = Field(
            default=(), description="Weight of each retriever in their order; all the same when left out."
        )
        depth: int = Field(default=100, ge=1, description="Passages asked of each retriever.")
        rank_constant: int = Field(
            default=60, ge=1, description="For ranks: a passage at rank r counts 1 / (rank_constant + r)."
        )

        @model_validator(mode="after")
        def _a_weight_each(self) -> HybridRetriever.Options:
            if self.weights and len(self.weights) != len(self.retrievers):
                raise ValueError(f"weights has {len(self.weights)} values for {len(self.retrievers)} retrievers")
            if self.weights and (min(self.weights) < 0 or max(self.weights) == 0):
                raise ValueError("weights must be 0 or more, and one of them more than 0")
            return self

    async def open(self) -> None:
        self._retrievers = [await self.context.retriever(ref) for ref in self.options.retrievers]
        self._own = [retriever for retriever in self._retrievers if retriever.context.step == self.context.step]

    async def build(self, documents: Iterable[Document]) -> Artifact:
        documents = list(documents)
        built = [await retriever.build(documents) for retriever in self._own]
        if len({artifact.facts.get("digest") for artifact in built}) > 1:
            self.context.warn(
                f"The retrievers of step {self.context.step!r} cut the documents differently, so that no passage is "
                "found by both. Give them the same chunk options."
            )
        return Artifact(
            kind="index", path=str(self.context.folder), facts={"retrievers": [artifact.facts for artifact in built]}
        )

    async def adopt(self, embedded: Embedded) -> int:
        """See `VectorTarget`: the inline retrievers that keep vectors keep them; 0 when none does."""
        adopted = [await own.adopt(embedded) for own in self._own if isinstance(own, VectorTarget)]
        return min(adopted, default=0)

    async def load(self) -> None:
        for retriever in self._own:
            await retriever.load()

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        """Return at most `top_k` passages, best first; equal scores in the order of their ids."""
        own = self.options
        depth = max(top_k, own.depth)
        rankings = await asyncio.gather(*(retriever.search(query, depth) for retriever in self._retrievers))
        weights = own.weights or (1.0,) * len(rankings)
        by_ranks = own.fusion == "ranks"
        scores = by_rank(rankings, weights, own.rank_constant) if by_ranks else by_score(rankings, weights)
        passages = {hit.passage.id: hit.passage for ranking in rankings for hit in ranking}
        best = sorted(scores, key=lambda passage_id: (-scores[passage_id], passage_id))[:top_k]
        return [Retrieved(passage=passages[passage_id], score=scores[passage_id]) for passage_id in best]
