"""Makes a project whose `wmsforge` sees the fixture plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for `import project`
sys.path.append(str(Path(__file__).parents[1] / "run/limits"))  # for `import ideal`

from project import Project


@pytest.fixture
def make_project(tmp_path: Path, fixture_plugin_path: Path) -> Callable[..., Project]:
    """Makes projects: `make_project("storm", GOOGLE_API_KEY="fake")`."""

    def make(name: str = "project", **environment: str) -> Project:
        return Project(tmp_path / name, {"PYTHONPATH": str(fixture_plugin_path), **environment})

    return make
