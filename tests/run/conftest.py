"""What the tests of the engine share: a project with a plugin of run_components.py, and no other."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import run_components
from run_project import Project

from wmsforge.plugins import load_plugins


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WMSFORGE_PLUGINS", raising=False)
    monkeypatch.setattr(run_components, "GATES", {})
    run_components.HAPPENED.clear()
    Path("docs").mkdir()
    Path("docs/a.txt").write_text("a dock is where lorries stop\na rack holds pallets\n", encoding="utf-8")
    Path("docs/b.txt").write_text("a pallet is of wood\n", encoding="utf-8")
    return Project(tmp_path, load_plugins(entry_points=[EntryPoint("tiny", "run_components", "wmsforge")]))
