"""The recipes that we ship are valid and open with what a reader needs first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from wmsforge.errors import RecipeError
from wmsforge.plugins import load_plugins
from wmsforge.recipe.load import load_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted(
    path
    for path in (ROOT / "recipes").rglob("*.yaml")
    if "steps" in (yaml.safe_load(path.read_text(encoding="utf-8")) or {})
)
OURS = {path.name for path in (ROOT / "plugins").glob("wmsforge-*")}


def ids(path: Path) -> str:
    return path.relative_to(ROOT / "recipes").as_posix()


def test_there_are_recipes() -> None:
    assert {"laptop.yaml", "quickstart.yaml", "wms.yaml"} <= {ids(path) for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=ids)
def test_a_shipped_recipe_is_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # its paths start at the repository's root
    monkeypatch.delenv("WMSFORGE_PLUGINS", raising=False)
    host = load_plugins()
    text = path.read_text(encoding="utf-8")
    absent = sorted(OURS - {plugin.name for plugin in host.plugins if plugin.status == "loaded"})
    variables = re.findall(r"\$\{(\w+)\}", text)  # those without a default
    environ = {name: "http://127.0.0.1:9/v1" if name.endswith("URL") else "fake" for name in variables}
    try:
        recipe = load_recipe(path, registry=host.registry, environ=environ)
    except RecipeError as error:
        unknown = [problem.message for problem in error.problems if re.match(r"no \w+ .*is called", problem.message)]
        if absent and len(unknown) == len(error.problems):
            pytest.skip(f"not installed: {', '.join(absent)}; {unknown[0]}")
        raise
    assert len(recipe.steps) >= 5


@pytest.mark.parametrize("path", RECIPES, ids=ids)
def test_a_shipped_recipe_opens_with_what_inputs_run_and_override(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    opening = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    said = [match[1] for line in opening if (match := re.match(r"# (What|Inputs|Run|Override): +\S", line))]
    assert said == ["What", "Inputs", "Run", "Override"]
    command = f"wmsforge run recipes/{ids(path)}"
    assert [line for line in opening if line.startswith("# Run:") and command in line]
    assert [line for line in opening if line.startswith("# Override:") and f"{command} --set " in line]
