"""Makes the repository's mock server importable, and opens models against an address."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from wmsforge_openai.chat_model import OpenAICompatibleModel
from wmsforge_openai.embedder import OpenAICompatibleEmbedder

from wmsforge.testing import LocalContext

for folder in (Path(__file__).parent, Path(__file__).resolve().parents[3] / "tests"):
    sys.path.append(str(folder))  # for `import openai_replies` and `import mock_openai`

OpenModel = Callable[..., Awaitable[OpenAICompatibleModel]]
OpenEmbedder = Callable[..., Awaitable[OpenAICompatibleEmbedder]]


@pytest.fixture
async def open_model(tmp_path: Path) -> AsyncIterator[OpenModel]:
    """Opens models: `await open_model(base_url, api_key=...)`; all are closed after the test."""
    opened: list[OpenAICompatibleModel] = []

    async def open_one(base_url: str, **options: Any) -> OpenAICompatibleModel:
        settings = {"model": "solar", **options}
        model = OpenAICompatibleModel(
            OpenAICompatibleModel.Options(base_url=base_url, **settings), LocalContext(tmp_path, step="expert")
        )
        await model.open()
        opened.append(model)
        return model

    yield open_one
    for model in opened:
        await model.close()


@pytest.fixture
async def open_embedder(tmp_path: Path) -> AsyncIterator[OpenEmbedder]:
    """Opens embedders as `open_model` opens models."""
    opened: list[OpenAICompatibleEmbedder] = []

    async def open_one(base_url: str, **options: Any) -> OpenAICompatibleEmbedder:
        settings = {"model": "embed", **options}
        embedder = OpenAICompatibleEmbedder(
            OpenAICompatibleEmbedder.Options(base_url=base_url, **settings), LocalContext(tmp_path, step="vectors")
        )
        await embedder.open()
        opened.append(embedder)
        return embedder

    yield open_one
    for embedder in opened:
        await embedder.close()
