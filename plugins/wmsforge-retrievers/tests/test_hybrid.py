"""Fusion: what several retrievers find, in one ranking that is always the same."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from wmsforge_retrievers.bm25 import Bm25Retriever
from wmsforge_retrievers.faiss import FaissRetriever
from wmsforge_retrievers.fusion import by_rank, by_score
from wmsforge_retrievers.hybrid import HybridRetriever

from wmsforge.records import Artifact, Document, Passage, Retrieved
from wmsforge.steps.retriever import Retriever
from wmsforge.testing import LocalContext

Make = Callable[..., Document]
Open = Callable[..., Awaitable[Any]]


def hits(**scores: float) -> list[Retrieved]:
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    return [
        Retrieved(passage=Passage(id=name, document_id="d", path="p", text=name, start=0, end=1), score=score)
        for name, score in ordered
    ]


class FixedRetriever(Retriever):
    """Finds what it was given."""

    found: list[Retrieved]
    built = 0

    async def build(self, documents: Iterable[Document]) -> Artifact:
        self.built += 1
        return Artifact(kind="index", facts={"digest": self.options})

    async def load(self) -> None:
        self.built -= 1

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        return self.found[:top_k]


def fixed(found: list[Retrieved], step: str = "index", digest: str = "same") -> FixedRetriever:
    retriever = FixedRetriever(digest, LocalContext(Path(), step=step))
    retriever.found = found
    return retriever


@pytest.fixture
def open_hybrid(open_retriever: Open) -> Callable[..., Awaitable[HybridRetriever]]:
    async def open_(one: Retriever, other: Retriever, **options: Any) -> HybridRetriever:
        hybrid: HybridRetriever = await open_retriever(HybridRetriever, {"faiss": one, "bm25": other}, **options)
        return hybrid

    return open_


def test_by_score_scales_each_ranking_to_its_best_and_last() -> None:
    scores = by_score([hits(a=0.9, b=0.88, c=0.8), hits(b=12, d=2)], [1, 1])
    assert scores == pytest.approx({"a": 0.5, "b": 0.5 * 0.8 + 0.5, "c": 0, "d": 0})


def test_by_score_counts_weights_and_takes_a_single_hit_as_the_best() -> None:
    assert by_score([hits(a=3), hits(b=2, a=1)], [3, 1]) == pytest.approx({"a": 0.75, "b": 0.25})
    assert by_score([[], hits(b=2)], [1, 1]) == pytest.approx({"b": 0.5})


def test_by_rank_sums_reciprocal_ranks() -> None:
    scores = by_rank([hits(a=0.9, b=0.8), hits(b=7)], [1, 2], 60)
    assert scores == pytest.approx({"a": 1 / 61, "b": 1 / 62 + 2 / 61})


async def test_what_both_find_comes_before_what_one_finds(open_hybrid: Any) -> None:
    one, other = fixed(hits(a=0.9, b=0.89, x=0.1)), fixed(hits(c=9, b=8.9, y=1))
    for fusion in ("scores", "ranks"):
        found = await (await open_hybrid(one, other, fusion=fusion)).search("?", 2)
        assert [hit.passage.id for hit in found] == ["b", "a"]


async def test_ties_are_broken_by_the_passage_id(open_hybrid: Any) -> None:
    hybrid = await open_hybrid(fixed(hits(z=1, m=0.5)), fixed(hits(a=1, n=0.5)), fusion="ranks")
    assert [hit.passage.id for hit in await hybrid.search("?", 4)] == ["a", "z", "m", "n"]


async def test_real_retrievers_fused_give_the_same_answer_every_time(
    document: Make, open_retriever: Open, open_hybrid: Any
) -> None:
    documents = [document(f"{number}번 로케이션의 재고를 센다.", path=f"{number}.txt") for number in range(40)]
    hybrid = await open_hybrid(await open_retriever(FaissRetriever), await open_retriever(Bm25Retriever))
    artifact = await hybrid.build(iter(documents))
    assert [facts["passages"] for facts in artifact.facts["retrievers"]] == [40, 40]
    assert hybrid.context.warnings == []
    first = await hybrid.search("17번 로케이션", 5)
    assert first[0].passage.path == "17.txt"
    reopened = await open_hybrid(await open_retriever(FaissRetriever), await open_retriever(Bm25Retriever))
    await reopened.load()
    assert all([await reopened.search("17번 로케이션", 5) == first for _ in range(3)])


async def test_only_inline_retrievers_are_built_and_loaded_here(open_hybrid: Any) -> None:
    inline, step = fixed(hits(a=1)), fixed(hits(a=1), step="another")
    hybrid = await open_hybrid(inline, step)
    await hybrid.build([])
    assert (inline.built, step.built) == (1, 0)
    await hybrid.load()
    assert (inline.built, step.built) == (0, 0)


async def test_retrievers_that_cut_differently_are_warned_about(open_hybrid: Any) -> None:
    hybrid = await open_hybrid(fixed([], digest="one"), fixed([], digest="other"))
    await hybrid.build([])
    assert "Give them the same chunk options" in hybrid.context.warnings[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": (1.0,)}, "weights has 1 values for 2 retrievers"),
        ({"weights": (0.0, 0.0)}, "one of them more than 0"),
        ({"retrievers": ("faiss",)}, "at least 2 items"),
    ],
)
def test_options_that_cannot_be_fused_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HybridRetriever.Options(**options)


def test_naming_the_retrievers_imports_no_heavy_library() -> None:
    code = (
        "import sys, wmsforge_retrievers.bm25, wmsforge_retrievers.faiss, wmsforge_retrievers.hybrid; "
        "print([m for m in ('numpy', 'faiss', 'llama_index', 'bm25s', 'kiwipiepy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
