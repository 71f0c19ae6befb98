"""One line of a recipe swaps the retriever, a stranger's included; a disabled plugin is told at check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

RETRIEVERS = {
    "bm25": ("{use: bm25, from: documents}", ["bm25s", "kiwipiepy", "wmsforge_retrievers"]),
    "faiss": (
        "{use: faiss, from: documents, embedder: hashing}",
        ["faiss", "llama_index.vector_stores.faiss", "wmsforge_retrievers"],
    ),
    "keyword": ("{use: keyword, from: documents}", []),
}
RECIPE = """\
name: swap
steps:
  documents: {use: lines, path: manual.txt}
  index: INDEX
  questions: {use: echo-questions, from: documents}
  answers: {use: first-passage, from: questions, retriever: index}
  dataset: {use: messages-json, from: answers, path: data.json, card: false}
"""
LINES = (
    "배치 피킹은 여러 주문을 한 번에 집는 방식입니다.",
    "순환 재고 실사는 매일 일부 로케이션을 세는 방식입니다.",
    "크로스도킹은 입고한 물건을 보관하지 않고 출고하는 방식입니다.",
)


def present(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # find_spec imports the parents of a dotted name
        return False


@pytest.fixture
def wmsforge(tmp_path: Path, fixture_plugin_path: Path) -> Any:
    """Run `wmsforge` in a folder with the recipe; return its exit code and what it said on stderr."""
    (tmp_path / "manual.txt").write_text("\n".join(LINES), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(fixture_plugin_path)}
    environment.pop("WMSFORGE_PLUGINS", None)

    def run(index: str, *arguments: str) -> tuple[int, str]:
        (tmp_path / "recipe.yaml").write_text(RECIPE.replace("INDEX", index), encoding="utf-8")
        command = [sys.executable, "-m", "wmsforge", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    return run


def test_one_line_of_the_recipe_swaps_the_retriever_and_the_rest_is_kept(wmsforge: Any, tmp_path: Path) -> None:
    missing = sorted({module for _, needs in RETRIEVERS.values() for module in needs if not present(module)})
    if missing:
        pytest.skip(f"needs the plugin wmsforge-retrievers with {', '.join(missing)}")
    questions_of = set()
    for name, (index, _) in RETRIEVERS.items():
        code, said = wmsforge(index, "run", "recipe.yaml")
        assert code == 0, said
        rows = json.loads((tmp_path / "data.json").read_text(encoding="utf-8"))
        assert [row["messages"][-1]["content"] for row in rows] == list(LINES), name
        steps = tmp_path / ".wmsforge/swap/steps"
        manifests = {id: json.loads((steps / id / "manifest.json").read_text("utf-8")) for id in ("index", "questions")}
        assert manifests["index"]["components"][0]["name"] == name
        questions_of.add(manifests["questions"]["run"])
    assert len(questions_of) == 1  # asked once, for all three


def test_the_strangers_retriever_works_without_ours(wmsforge: Any, tmp_path: Path) -> None:
    code, said = wmsforge(RETRIEVERS["keyword"][0], "run", "recipe.yaml")
    assert code == 0, said
    assert len(json.loads((tmp_path / "data.json").read_text(encoding="utf-8"))) == 3


@pytest.mark.parametrize(
    ("name", "plugin"),
    [("bm25", "wmsforge-retrievers"), ("faiss", "wmsforge-retrievers"), ("keyword", "wmsforge-fixture")],
)
def test_a_disabled_plugin_is_told_with_line_name_and_remedy(wmsforge: Any, name: str, plugin: str) -> None:
    if plugin == "wmsforge-retrievers" and not present("wmsforge_retrievers"):
        pytest.skip("needs the plugin wmsforge-retrievers")
    code, said = wmsforge(RETRIEVERS[name][0], "--no-plugin", plugin, "check", "recipe.yaml")
    assert code == 2
    line = next(line for line in said.splitlines() if "steps.index" in line)
    assert line == (
        f"recipe.yaml:4:11  steps.index.use: retriever {name!r} comes from the plugin {plugin!r}, which is disabled. "
        "Enable it: leave it out of --no-plugin, and name it in WMSFORGE_PLUGINS if that is set."
    )
