"""What the tests of the command line share: a small project, its own plugin, and `wmsforge` as a process."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from cli_project import Project


def make_project(folder: Path) -> Project:
    """Return a project with two documents, its recipe, and the plugin of cli_components.py."""
    plugin = folder / "plugin" / "cli_test_plugin-1.0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: cli-test-plugin\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[wmsforge]\ncli_test_plugin = cli_components\n")
    home = folder / "project"
    (home / "docs").mkdir(parents=True)
    (home / "docs/a.txt").write_text("Receiving takes at most\n\x1b[31m4 hours\x1b[0m.", encoding="utf-8")
    (home / "docs/b.txt").write_text("Picking goes by zone.", encoding="utf-8")
    path = os.pathsep.join([str(plugin.parent), str(Path(__file__).parent)])
    project = Project(home, os.environ | {"PYTHONPATH": path, "WMSFORGE_PLUGINS": "cli-test-plugin"})
    project.write_recipe()
    return project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path)
    yield made
    made.kill_all()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after one run, to be looked at and not changed."""
    made = make_project(tmp_path_factory.mktemp("finished"))
    made.run("run", "recipe.yaml")
    return made
