"""Folders that LangChain's own FAISS store saved; these tests need langchain-community, which the plugin does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from word_embedder import Open, WordEmbedder

pytest.importorskip("langchain_community", reason="pip install langchain-community, to try its own FAISS store")

from langchain_community.vectorstores import FAISS
from langchain_community.vectorstores.utils import DistanceStrategy
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

WORDS = ["입고", "적치", "피킹", "출고", "반품", "재고", "실사", "보충"]
DOCUMENTS = [
    Document(
        f"{first} 작업은 {second} 담당이 {number} 구역에서 한다.", metadata={"source": f"{first}.pdf", "page": number}
    )
    for number, (first, second) in enumerate((a, b) for a in WORDS for b in WORDS if a != b)
]


class Words(Embeddings):
    """The tests' embedder, as LangChain wants one."""

    def __init__(self, embedder: WordEmbedder, length: float = 1) -> None:
        self.embedder = embedder
        self.length = length

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [list(map(float, self.length * vector)) for vector in self.embedder.vectors(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


@pytest.mark.parametrize("strategy", [DistanceStrategy.EUCLIDEAN_DISTANCE, DistanceStrategy.MAX_INNER_PRODUCT])
@pytest.mark.parametrize("query", ["재고 실사 구역에서", "반품 담당이", "13 구역에서 한다."])
async def test_it_finds_what_langchain_finds(
    tmp_path: Path, open_retriever: Open, embedder: WordEmbedder, strategy: DistanceStrategy, query: str
) -> None:
    store = FAISS.from_documents(DOCUMENTS, Words(embedder), distance_strategy=strategy)
    store.save_local(str(tmp_path / "db"))
    retriever = await open_retriever(tmp_path / "db")
    await retriever.build([])
    theirs = store.similarity_search_with_score(query, k=len(DOCUMENTS))
    ours = {hit.passage.text: hit.score for hit in await retriever.search(query, len(DOCUMENTS))}
    # The same score for each, so the same order but among equals.
    assert {
        document.page_content: pytest.approx(
            1 - float(score) / 2 if strategy == DistanceStrategy.EUCLIDEAN_DISTANCE else float(score), abs=1e-5
        )
        for document, score in theirs
    } == ours


async def test_a_store_that_was_changed_before_it_was_saved(
    tmp_path: Path, open_retriever: Open, embedder: WordEmbedder
) -> None:
    """Documents deleted, added and merged: the ids are numbered anew by LangChain each time."""
    store = FAISS.from_documents(DOCUMENTS[:20], Words(embedder, length=4), ids=[str(number) for number in range(20)])
    store.delete(["3", "11"])
    store.add_documents(DOCUMENTS[20:30])
    store.merge_from(FAISS.from_documents(DOCUMENTS[30:], Words(embedder, length=4)))
    store.save_local(str(tmp_path / "db"), index_name="changed")
    retriever = await open_retriever(tmp_path / "db", index_name="changed")
    artifact = await retriever.build([])
    assert artifact.facts["cosine_of_sample"] == pytest.approx(1)
    left = [document for number, document in enumerate(DOCUMENTS) if number not in (3, 11)]
    assert artifact.facts["passages"] == len(left)
    embedded = await retriever.embedded()
    given: list[Any] = [(made.text, made.path, made.page) for made in embedded.documents]
    assert given == [(doc.page_content, doc.metadata["source"], doc.metadata["page"] + 1) for doc in left]
    assert embedded.vectors == pytest.approx(embedder.vectors([doc.page_content for doc in left]), abs=1e-5)
