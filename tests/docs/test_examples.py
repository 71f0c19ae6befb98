"""The code of the guide is the code of real files, and it works as the guide says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import ROOT, Block, blocks

EXAMPLE = ROOT / "docs/examples/wmsforge-shout"
_WHOLE = re.compile(r"^File `([^`]+)`")
_PART = re.compile(r"^From `([^`]+)`")
WHOLE = [(block, match[1]) for block in blocks() if (match := _WHOLE.match(block.before))]
PARTS = [(block, match[1]) for block in blocks() if (match := _PART.match(block.before))]


@pytest.mark.parametrize(("block", "name"), WHOLE, ids=str)
def test_a_block_that_is_called_a_file_is_that_file(block: Block, name: str):
    assert block.text == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("block", "name"), PARTS, ids=str)
def test_a_block_from_a_file_stands_in_it(block: Block, name: str):
    assert block.text in (ROOT / name).read_text(encoding="utf-8")


def test_the_guide_shows_every_file_of_the_example():
    files = {path.relative_to(ROOT).as_posix() for path in EXAMPLE.rglob("*") if path.is_file()}
    files = {name for name in files if not re.search(r"__pycache__|\.pytest_cache|\.ruff_cache|\.wmsforge", name)}
    assert files == {name for _, name in WHOLE}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the example installed by pip, as a stranger's plugin would be."""
    site = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"pip could not install {EXAMPLE}:\n{done.stderr}")
    return {**os.environ, "PYTHONPATH": str(site), "WMSFORGE_PLUGINS": "wmsforge-shout"}


def wmsforge(folder: Path, environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    """Run `wmsforge` in a folder, check its exit code and return what it printed."""
    command = [sys.executable, "-m", "wmsforge", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("recipe.yaml", "questions.csv"):
        (tmp_path / name).write_bytes((EXAMPLE / name).read_bytes())
    return tmp_path


def test_the_example_passes_its_own_tests(installed: dict[str, str], tmp_path: Path):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(EXAMPLE / "tests")]
    done = subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_the_recipe_uses_the_example(installed: dict[str, str], project: Path):
    said = wmsforge(project, installed, "run", "recipe.yaml")
    assert "kept: 2 records in .wmsforge/shout/steps/kept\nkept rejected 1 of 3: shouting 1\n" in said
    said = wmsforge(project, installed, "peek", "recipe.yaml", "kept", "--rejected")
    assert "rejected: shouting: no-shouting: 3 exclamation marks, at most 1" in said
    said = wmsforge(project, installed, "run", "recipe.yaml", "--set", "steps.kept.use.1.calm=true")
    assert "questions reused: 3 records\nkept started (filter/language,no-shouting): calm: False -> True\n" in said
    assert "kept: 3 records" in said


def test_what_the_guide_says_about_the_disabled_plugin(installed: dict[str, str], project: Path):
    said = wmsforge(project, installed, "--no-plugin", "wmsforge-shout", "check", "recipe.yaml", code=2)
    assert any(block.text == said for block in blocks()), said
