"""Makes the repository's mock server importable, and opens models against an address."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from wmsforge_openai.chat_model import OpenAICompatibleModel

from wmsforge.testing import LocalContext

sys.path.append(str(Path(__file__).resolve().parents[3] / "tests"))

OpenModel = Callable[..., Awaitable[OpenAICompatibleModel]]


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
