"""The retriever `langchain-faiss`: what it finds, in which indexes, and what it refuses."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from langchain_folder import Texts, pickled, save
from wmsforge_langchain.loader import LangChainDocumentsLoader
from wmsforge_langchain.retriever import LangChainFaissRetriever
from word_embedder import Open, WordEmbedder

from wmsforge.errors import RecordError, StepError
from wmsforge.testing import LocalContext

WORDS = ["입고", "적치", "피킹", "출고", "반품", "재고", "실사", "보충"]
TEXTS: Texts = [
    (f"{first} 작업은 {second} 담당이 {number} 구역에서 한다.", {"source": f"{first}.pdf", "page": number})
    for number, (first, second) in enumerate((a, b) for a in WORDS for b in WORDS if a != b)
]


@pytest.fixture
def folder(tmp_path: Path, embedder: WordEmbedder) -> Path:
    """An index of unit vectors, as LangChain makes one of normalised embeddings."""
    return save(tmp_path / "wms_vectordb", TEXTS, embedder.vectors([text for text, _ in TEXTS]))


async def test_the_passage_of_a_text_is_found_with_its_place(folder: Path, open_retriever: Open) -> None:
    retriever = await open_retriever(folder)
    artifact = await retriever.build([])
    (best, *_) = await retriever.search(TEXTS[20][0], 3)
    assert (best.passage.text, best.passage.path, best.passage.page) == (TEXTS[20][0], "피킹.pdf", 21)
    assert best.score == pytest.approx(1, abs=1e-4)
    facts = [artifact.facts[name] for name in ("passages", "encoded", "index", "metric", "cosine_of_sample")]
    assert facts == [len(TEXTS), 0, "IndexFlatL2", "l2", 1.0]
    assert retriever.context.warnings == []  # type: ignore[attr-defined]


async def test_loading_in_a_later_process_finds_the_same_and_embeds_no_passage(
    folder: Path, open_retriever: Open, embedder: WordEmbedder
) -> None:
    built = await open_retriever(folder)
    await built.build([])
    embedded = len(embedded_texts := embedder.embedded)
    loaded = await open_retriever(folder)
    await loaded.load()
    assert await loaded.search("반품 피킹", 5) == await built.search("반품 피킹", 5)
    assert len(embedded_texts) == embedded <= 8


async def test_the_folder_is_not_changed(folder: Path, open_retriever: Open) -> None:
    before = _bytes_and_times(folder)
    await (await open_retriever(folder)).build([])
    assert _bytes_and_times(folder) == before


def _bytes_and_times(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


async def test_a_changed_folder_must_be_checked_again(
    folder: Path, open_retriever: Open, embedder: WordEmbedder
) -> None:
    await (await open_retriever(folder)).build([])
    save(folder, TEXTS[:5], embedder.vectors([text for text, _ in TEXTS[:5]]))
    later = await open_retriever(folder)
    with pytest.raises(StepError, match=r"not the one that was checked.\nCheck it again: wmsforge run"):
        await later.load()


@pytest.mark.parametrize("kind", ["Flat", "IVF4,Flat", "HNSW16", "SQ8"])
@pytest.mark.parametrize("metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT])
async def test_every_index_that_gives_its_vectors_ranks_by_cosine(
    tmp_path: Path, open_retriever: Open, embedder: WordEmbedder, kind: str, metric: int
) -> None:
    """Vectors of other lengths than 1, as many embedding models make them."""
    lengths = np.random.default_rng(0).uniform(0.5, 9, (len(TEXTS), 1)).astype(np.float32)
    unit = embedder.vectors([text for text, _ in TEXTS])
    folder = save(tmp_path / "index", TEXTS, unit * lengths, kind=kind, metric=metric)
    retriever = await open_retriever(folder)
    await retriever.build([])
    (query,) = embedder.vectors(["재고 실사 구역에서"])
    expected = sorted(unit @ query, reverse=True)[:7]
    found = await retriever.search("재고 실사 구역에서", 7)
    assert [hit.score for hit in found] == pytest.approx(expected, abs=2e-2 if kind == "SQ8" else 1e-5)
    warnings = "\n".join(retriever.context.warnings)  # type: ignore[attr-defined]
    assert "have lengths from 0.5" in warnings
    assert f"ranked them by {'L2 distance' if metric == faiss.METRIC_L2 else 'inner product'}" in warnings
    assert ("shortened vectors" in warnings) == (kind == "SQ8")


async def test_a_text_that_was_added_twice_is_found_once_and_one_without_text_never(
    tmp_path: Path, open_retriever: Open, embedder: WordEmbedder
) -> None:
    texts: Texts = [*TEXTS[:4], *TEXTS[:4], (" ", {})]
    retriever = await open_retriever(save(tmp_path / "index", texts, embedder.vectors([text for text, _ in texts])))
    assert (await retriever.build([])).facts["passages"] == 4
    assert len(await retriever.search(TEXTS[0][0], 10)) == 4
    assert await retriever.search("  ", 10) == []


@pytest.mark.parametrize("texts", [[], [(" ", {})], TEXTS[:2]], ids=["empty", "blank", "vectors of zeros"])
async def test_an_index_with_nothing_to_find_is_refused(tmp_path: Path, open_retriever: Open, texts: Texts) -> None:
    vectors = np.zeros((len(texts), 64), np.float32)
    retriever = await open_retriever(save(tmp_path / "index", texts, vectors))
    with pytest.raises(StepError, match=r"holds no text with a vector \(\d chunks\)"):
        await retriever.build([])


async def test_an_embedder_of_another_size_is_refused_with_a_proposal(tmp_path: Path, open_retriever: Open) -> None:
    vectors = np.ones((2, 768), np.float32)
    retriever = await open_retriever(save(tmp_path / "index", TEXTS[:2], vectors))
    with pytest.raises(StepError) as refused:
        await retriever.build([])
    first, second = str(refused.value).split("\n")
    assert "have 768 numbers, those of the embedder 'words' (words) have 64; another model made the index" in first
    assert "jhgan/ko-sroberta-multitask" in second


async def test_another_model_of_the_same_size_is_refused(
    folder: Path, open_retriever: Open, embedder: WordEmbedder
) -> None:
    other = WordEmbedder(WordEmbedder.Options(model="others"), LocalContext(folder))
    retriever = await open_retriever(folder, other)
    with pytest.raises(StepError, match=r"was made by another embedding model than 'words' \(others\)"):
        await retriever.build([])


async def test_texts_that_belong_to_other_vectors_are_refused(
    tmp_path: Path, open_retriever: Open, embedder: WordEmbedder
) -> None:
    shifted = np.roll(embedder.vectors([text for text, _ in TEXTS]), 9, axis=0)
    retriever = await open_retriever(save(tmp_path / "index", TEXTS, shifted))
    with pytest.raises(StepError, match="was made by another embedding model"):
        await retriever.build([])


async def test_a_model_that_is_nearly_the_same_is_used_with_a_warning(
    tmp_path: Path, open_retriever: Open, embedder: WordEmbedder
) -> None:
    unit = embedder.vectors([text for text, _ in TEXTS])
    noise = np.random.default_rng(0).normal(0, 0.04, unit.shape).astype(np.float32)
    retriever = await open_retriever(save(tmp_path / "index", TEXTS, unit + noise))
    await retriever.build([])
    warnings = retriever.context.warnings  # type: ignore[attr-defined]
    assert any("the same model, but with another prefix" in warning for warning in warnings)


async def test_files_of_two_saves_are_refused(folder: Path, open_retriever: Open) -> None:
    (folder / "index.pkl").write_bytes(pickled(TEXTS[:-1]))
    retriever = await open_retriever(folder)
    with pytest.raises(StepError, match=r"56 vectors and .* 55 documents; they were not saved together"):
        await retriever.build([])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _text(path: Path) -> None:
    path.write_text("no index")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _said_to_be_huge(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8:16] = (1 << 40).to_bytes(8, "little")
    path.write_bytes(data)


def _nan(path: Path) -> None:
    index = faiss.IndexFlatL2(64)
    index.add(np.full((len(TEXTS), 64), np.nan, np.float32))
    faiss.write_index(index, str(path))


def _without_reconstruction(path: Path) -> None:
    index = faiss.index_factory(64, "IDMap,Flat")
    index.add_with_ids(np.ones((len(TEXTS), 64), np.float32), np.arange(len(TEXTS)))
    faiss.write_index(index, str(path))


def _binary(path: Path) -> None:
    faiss.write_index_binary(faiss.IndexBinaryFlat(64), str(path))


@pytest.mark.parametrize("damage", [_cut, _text, _empty, _said_to_be_huge, _nan, _without_reconstruction, _binary])
async def test_an_index_that_faiss_cannot_read_is_a_clear_error(
    folder: Path, open_retriever: Open, damage: Any
) -> None:
    damage(folder / "index.faiss")
    retriever = await open_retriever(folder)
    with pytest.raises(StepError) as refused:
        await retriever.build([])
    first, second = str(refused.value).split("\n", 1)
    assert first.startswith(f"Step 'index' cannot read {folder / 'index.faiss'}: the file ")
    assert "{use: langchain-documents, path: " in second


async def test_an_index_with_bytes_changed_never_takes_the_run_along(folder: Path, open_retriever: Open) -> None:
    """What FAISS does with it happens in another process: here it is an error, or an index with other vectors."""
    whole = (folder / "index.faiss").read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(12):
        data = bytearray(whole)
        for place in rng.integers(0, 45, 3):
            data[place] = int(rng.integers(0, 256))
        (folder / "index.faiss").write_bytes(data)
        retriever = await open_retriever(folder)
        try:
            await retriever.build([])
        except StepError as error:
            assert "\n" in str(error)


class _Harmful:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


async def test_a_crafted_pickle_does_nothing_and_is_named(folder: Path, tmp_path: Path, open_retriever: Open) -> None:
    canary = tmp_path / "canary"
    data = pickle.dumps(({"_dict": _Harmful(canary)}, {}))
    pickle.loads(data)
    assert canary.exists()  # so it does harm where it is loaded
    canary.unlink()
    (folder / "index.pkl").write_bytes(data)
    retriever = await open_retriever(folder)
    loader = LangChainDocumentsLoader(
        LangChainDocumentsLoader.Options(path=str(folder)), LocalContext(tmp_path, step="documents")
    )
    for refused in (
        await _error(retriever.build([])),
        await _error(retriever.embedded()),
        _error_of(lambda: list(loader.load(folder / "index.pkl"))),
    ):
        first, second = refused.split("\n", 1)
        assert f"cannot read {folder / 'index.pkl'}: the file wants to build 'pathlib." in first or "getattr" in first
        assert "Nothing of it was run." in first
        assert second.startswith("Take the file from whom you trust")
    assert not canary.exists()


async def _error(call: Any) -> str:
    with pytest.raises(StepError) as refused:
        await call
    return str(refused.value)


def _error_of(call: Any) -> str:
    with pytest.raises(StepError) as refused:
        call()
    return str(refused.value)


async def test_the_reading_process_knows_no_key(
    folder: Path, open_retriever: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    given: list[dict[str, str]] = []
    run = subprocess.run
    monkeypatch.setenv("GOOGLE_API_KEY", "a-secret")
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: (given.append(more["env"]), run(*args, **more))[1])
    await (await open_retriever(folder)).build([])
    assert given
    assert "GOOGLE_API_KEY" not in given[0]


def test_what_is_missing_is_said_with_what_is_there(folder: Path, tmp_path: Path) -> None:
    def missing(**options: Any) -> str:
        own = LangChainFaissRetriever.Options.model_validate({"embedder": "words", **options})
        with pytest.raises(RecordError) as error:
            LangChainFaissRetriever(own, LocalContext(tmp_path)).inputs()
        return error.value.detail

    assert "There is no such folder either." in missing(path=str(tmp_path / "no"))
    assert "It holds index: set 'index_name'." in missing(path=str(folder), index_name="wms")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "It holds no index of LangChain." in missing(path=str(empty))


def test_both_files_decide_what_comes_out_and_another_name_is_found(folder: Path, tmp_path: Path) -> None:
    named = tmp_path / "named"
    named.mkdir()
    for suffix in ("faiss", "pkl"):
        shutil.copy(folder / f"index.{suffix}", named / f"wms.{suffix}")
    own = LangChainFaissRetriever.Options.model_validate({"path": str(named), "embedder": "words", "index_name": "wms"})
    assert LangChainFaissRetriever(own, LocalContext(tmp_path)).inputs() == (named / "wms.faiss", named / "wms.pkl")
    with pytest.raises(ValueError, match="name of the files"):
        LangChainFaissRetriever.Options.model_validate({"path": "x", "embedder": "w", "index_name": "../../etc/x"})


async def test_a_file_beyond_the_limit_is_not_read(folder: Path, open_retriever: Open) -> None:
    retriever = await open_retriever(folder, max_file_mb=0.001)
    with pytest.raises(StepError, match=r"the limit is 0.001.\nRaise the option 'max_file_mb'"):
        await retriever.build([])


def test_the_loader_gives_the_chunks_with_their_places(folder: Path, tmp_path: Path) -> None:
    loader = LangChainDocumentsLoader(LangChainDocumentsLoader.Options(path=str(folder)), LocalContext(tmp_path))
    (source,) = loader.sources()
    documents = list(loader.load(source))
    assert [(made.text, made.path, made.page) for made in documents] == [
        (text, metadata["source"], metadata["page"] + 1) for text, metadata in TEXTS
    ]
    assert loader.inputs() == (folder / "index.pkl",)
