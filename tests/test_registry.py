"""From a name to a class, and what stands in the way. `find` is tested with the recipes and the plugins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wmsforge.errors import MissingDependencyError, PluginError
from wmsforge.registry import Offer, Registry, a

MODULE = """
from pydantic import BaseModel
from wmsforge.steps.filter import KEEP, Filter
from wmsforge.steps.loader import Loader

class Good(Filter):
    def check(self, record):
        return KEEP

class Plain(Good):
    class Options(BaseModel):
        pass

class Text(Loader):
    pass

def function(): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "registry_module.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "registry_needs.py").write_text("import missing_library.part\n", encoding="utf-8")
    (tmp_path / "registry_fails.py").write_text("raise RuntimeError('no GPU')\n", encoding="utf-8")
    (tmp_path / "registry_torn.py").write_text("def (:\n", encoding="utf-8")
    return tmp_path


def load(target: str) -> type[object]:
    return Registry().load(Offer("filter", "f", target, "", "wmsforge-f", "1.0"))


def test_a_target_is_imported_when_it_is_loaded(folder: Path) -> None:
    sys.modules.pop("registry_module", None)
    offer = Offer("filter", "f", "registry_module:Good", "", "wmsforge-f", "1.0")
    registry = Registry()
    registry.add(offer)
    assert registry.find("f", ["filter"]) == [offer]
    assert "registry_module" not in sys.modules
    assert registry.load(offer).__name__ == "Good"


def test_a_package_that_is_not_installed_is_named_with_the_command(folder: Path) -> None:
    with pytest.raises(MissingDependencyError) as raised:
        load("registry_needs:Good")
    assert str(raised.value) == (
        "filter 'f' of plugin 'wmsforge-f' needs the package 'missing_library', which is not installed.\n"
        "Install it: pip install wmsforge-f"
    )
    assert isinstance(raised.value, ImportError)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("registry_module:Gone", "AttributeError: module 'registry_module' has no attribute 'Gone'"),
        ("registry_nowhere:Good", "ModuleNotFoundError: No module named 'registry_nowhere'"),
        ("registry_fails:Good", "RuntimeError: no GPU"),
        ("registry_torn:Good", "SyntaxError: invalid syntax (registry_torn.py, line 1)"),
    ],
)
def test_a_target_that_cannot_be_imported_is_an_error_of_its_plugin(folder: Path, target: str, found: str) -> None:
    with pytest.raises(PluginError) as raised:
        load(target)
    assert str(raised.value) == f"filter 'f' of plugin 'wmsforge-f' cannot be loaded from {target!r}: {found}."


@pytest.mark.parametrize("name", ["Text", "function"])
def test_a_target_of_another_kind_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(PluginError) as raised:
        load(f"registry_module:{name}")
    assert str(raised.value) == (
        f"filter 'f' of plugin 'wmsforge-f': 'registry_module:{name}' is not a subclass of "
        "wmsforge.steps.filter:Filter or wmsforge.steps.filter:CorpusFilter."
    )


def test_options_that_are_not_ours_are_refused(folder: Path) -> None:
    with pytest.raises(PluginError, match="its Options are not a subclass of"):
        load("registry_module:Plain")


def test_articles() -> None:
    assert [a(kind) for kind in ("loader", "exporter", "answer_generator")] == [
        "a loader",
        "an exporter",
        "an answer_generator",
    ]
