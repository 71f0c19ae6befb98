"""What the tests of the command line share: a small project, its own plugin, and `wmsforge` as a process."""

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
from cli_project import Project

from wmsforge.env.resolve import METADATA_ONLY


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


@pytest.fixture
def heavy(project: Project, tmp_path: Path) -> Project:
    """A project whose recipe trains in an environment of doctor_components.py; nothing is built and no index asked."""
    info = tmp_path / "plugin/doctor_test_plugin-1.0.dist-info"
    locks = tmp_path / "plugin/doctor_locks/locks"
    for folder in (info, locks, tmp_path / "bin", tmp_path / "wheels"):
        folder.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: doctor-test-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[wmsforge]\ndoctor_test_plugin = doctor_components\n")
    (locks.parent / "__init__.py").touch()
    (locks / "cpu.txt").write_text("tinydep==1.0\n", encoding="utf-8")
    (locks / "cuda.txt").write_text("tinydep==1.0\nnvidia-cudnn-cu13==9.20.0.48\n", encoding="utf-8")
    project.environment |= {
        "PATH": str(tmp_path / "bin"),  # a test puts an nvidia-smi of its own there
        "WMSFORGE_HOME": str(tmp_path / "home"),
        "WMSFORGE_PLUGINS": "cli-test-plugin,doctor-test-plugin",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
    }
    project.write_recipe(more="  adapter: {use: heavy, from: dataset, env: cpu}\n")
    return project


@pytest.fixture(scope="session")
def newer_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pip that `doctor` puts beside an older one, where the tests' own is older."""
    folder = tmp_path_factory.mktemp("pip")
    version = importlib.metadata.version("pip").split(".")
    if (int(version[0]), int(version[1])) < METADATA_ONLY:
        wanted = "pip>={}.{}".format(*METADATA_ONLY)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(folder), wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{wanted} cannot be had here: {done.stderr.splitlines()[-1]}")
    return folder


@pytest.fixture
def resolving(heavy: Project, newer_pip: Path) -> Project:
    """The same, with a pip that can ask the index: its only packages are those of the folder `wheels`."""
    heavy.environment["PIP_FIND_LINKS"] += f" {newer_pip}"
    return heavy


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project after one run, to be looked at and not changed."""
    made = make_project(tmp_path_factory.mktemp("finished"))
    made.run("run", "recipe.yaml")
    return made
