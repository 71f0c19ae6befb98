"""What the tests of recipes share: the tiny components, and recipes written in a test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))
from tiny_components import tiny_registry

from wmsforge.errors import RecipeError
from wmsforge.recipe.load import load_recipe
from wmsforge.recipe.model import Recipe
from wmsforge.registry import Registry


@pytest.fixture
def registry() -> Registry:
    return tiny_registry()


@pytest.fixture
def load(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recipe]:
    """Load a recipe from its text; the environment is empty unless `environ` is given."""
    monkeypatch.chdir(tmp_path)

    def load(text: str, **options: Any) -> Recipe:
        Path("recipe.yaml").write_text(dedent(text), encoding="utf-8")
        return load_recipe(Path("recipe.yaml"), registry=registry, **{"environ": {}, **options})

    return load


@pytest.fixture
def mistakes(load: Callable[..., Recipe]) -> Callable[..., list[str]]:
    """Load a wrong recipe and return its message line by line, without the last, which counts them."""

    def mistakes(text: str, **options: Any) -> list[str]:
        with pytest.raises(RecipeError) as raised:
            load(text, **options)
        return str(raised.value).splitlines()[:-1]

    return mistakes
