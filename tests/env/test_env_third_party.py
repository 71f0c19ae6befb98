"""Two strangers' plugins whose locks contradict each other, in one recipe; and a worker that is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_index import make_wheel, make_wheel_of_installed

TESTS = Path(__file__).parents[1]
TOKEN = "t0ken-of-mine"
RECIPE = """\
name: strangers
steps:
  documents: {use: lines, path: notes.txt}
  questions: {use: echo-questions, from: documents}
  index: {use: keyword, from: documents}
  answers: {use: first-passage, from: questions, retriever: index}
  dataset: {use: plain-text, from: answers, path: out/rows.txt}
  adapter: {use: isolated-trainer, from: dataset}
  stamped: {use: stamp, from: adapter, token: "${STAMP_TOKEN}"}
"""


@pytest.fixture
def project(tmp_path: Path, untold: Path, fixture_plugin_path: Path) -> Project:
    """A project that sees both plugins; the packages of their environments are in a folder, there is no index.

    `tests/neighbour_plugin` is as pip would have left it.
    """
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path / "wheels", version)
    make_wheel_of_installed(tmp_path / "wheels", "pluggy", "1.7.0")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "notes.txt").write_text("피킹은 집는 일입니다.\n검수는 세는 일입니다.\n", encoding="utf-8")
    variables = {
        "PYTHONPATH": os.pathsep.join(
            [str(fixture_plugin_path), str(TESTS / "neighbour_plugin"), os.environ.get("PYTHONPATH", "")]
        ),
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_NO_INDEX": "1",
        "STAMP_TOKEN": TOKEN,
        "WMSFORGE_NEIGHBOUR_DIES": str(tmp_path / "died"),
    }
    return Project(folder, {**os.environ, **variables})


class Project:
    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables

    def run(self, *arguments: str, code: int) -> str:
        """Run `wmsforge`, check its exit code and return what it said."""
        command = [sys.executable, "-m", "wmsforge", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def manifest(self, step: str) -> dict[str, Any]:
        text = (self.folder / f".wmsforge/strangers/steps/{step}/manifest.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found


def test_contradicting_locks_run_in_one_recipe_and_a_killed_worker_is_told_and_gone_on_from(project: Project) -> None:
    failed = project.run("run", "recipe.yaml", code=4)
    (log,) = project.folder.glob(".wmsforge/strangers/runs/*/logs/stamped.log")
    assert "Step 'stamped' ran out of memory: its worker was killed (signal 9)" in failed
    assert f"The whole log: {log.relative_to(project.folder)}\n" in failed
    assert "The same command goes on from what is finished." in failed

    done = project.run("run", "recipe.yaml", code=0)
    assert "adapter reused" in done
    assert project.manifest("stamped")["artifact"]["facts"] == {"stamp": "2.0"}
    environments = {**project.manifest("adapter")["environments"], **project.manifest("stamped")["environments"]}
    assert {name: facts["packages"]["tinydep"] for name, facts in environments.items()} == {
        "fixture": "1.0",
        "neighbour": "2.0",
    }
    adapter = project.folder / project.manifest("adapter")["artifact"]["path"] / "adapter.json"
    assert json.loads(adapter.read_text(encoding="utf-8"))["피킹은"] >= 1

    kept = [path for path in project.folder.rglob("*") if path.is_file()]
    assert [path for path in kept if TOKEN.encode() in path.read_bytes()] == []
    assert "stamping for ${STAMP_TOKEN}\n" in log.read_text(encoding="utf-8") and TOKEN not in failed + done
