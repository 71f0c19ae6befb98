"""Makes the repository's mock servers importable, and opens models against an address."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from wmsforge_gemini.chat_model import GeminiModel

from wmsforge.testing import LocalContext

sys.path.append(str(Path(__file__).resolve().parents[3] / "tests"))

KEY = "AIza-secret-3f9a"
OpenModel = Callable[..., Awaitable[GeminiModel]]


@pytest.fixture
async def open_model(tmp_path: Path) -> AsyncIterator[OpenModel]:
    """Opens models: `await open_model(base_url, thinking_level="low")`; all are closed after the test."""
    opened: list[GeminiModel] = []

    async def open_one(base_url: str, **options: Any) -> GeminiModel:
        settings = {"model": "gemini-3.8-flash", "api_key": KEY, **options}
        model = GeminiModel(GeminiModel.Options(base_url=base_url, **settings), LocalContext(tmp_path, step="customer"))
        await model.open()
        opened.append(model)
        return model

    yield open_one
    for model in opened:
        await model.close()
