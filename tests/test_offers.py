"""What a plugin would offer, read from its source."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent

import pytest

from wmsforge.offers import offered_by_source

SOURCE = """
    import package_that_is_not_there
    from wmsforge.hookspecs import hookimpl

    @hookimpl
    def register_retrievers(register):
        register("bm25", "plug.bm25:Bm25", summary="Ranks.")
        if True:
            register("hybrid", f"{__name__}:Hybrid", summary="Joins.")

    @hookimpl
    def register_filters(register):
        for name in ("a", "b"):
            register(name, f"plug.{name}:F", summary="computed, so not known without importing")

    def register_nothings(register):
        register("x", "y:Z", summary="no kind")

    def helper(register):
        register("z", "y:Z", summary="no hook")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def names(module: str) -> list[tuple[str, str, str]]:
    return [(offer.kind, offer.name, offer.target) for offer in offered_by_source(module, "wmsforge-plug", "broken")]


def test_literal_names_are_found_without_importing(package: Path) -> None:
    (package / "offers_plain.py").write_text(dedent(SOURCE), encoding="utf-8")
    assert names("offers_plain") == [
        ("retriever", "bm25", "plug.bm25:Bm25"),
        ("retriever", "hybrid", ""),
    ]
    assert "offers_plain" not in sys.modules
    (first, _) = offered_by_source("offers_plain", "wmsforge-plug", "broken")
    assert (first.plugin, first.summary) == ("wmsforge-plug", "broken")


def test_a_module_inside_of_a_package_is_found_without_importing_the_package(package: Path) -> None:
    (package / "offers_package" / "inner").mkdir(parents=True)
    (package / "offers_package/__init__.py").write_text("raise SystemExit('imported')")
    (package / "offers_package/inner/__init__.py").write_text("raise SystemExit('imported')")
    (package / "offers_package/inner/hooks.py").write_text(dedent(SOURCE), encoding="utf-8")
    assert len(names("offers_package.inner.hooks")) == 2
    assert not any(name.startswith("offers_package") for name in sys.modules)


@pytest.mark.parametrize("source", ["def register_retrievers(:", "\0", "# \xff\n"])
def test_a_source_that_cannot_be_parsed_offers_nothing(package: Path, source: str) -> None:
    (package / "offers_torn.py").write_bytes(source.encode("latin-1"))
    assert names("offers_torn") == []


@pytest.mark.parametrize("module", ["offers_nowhere", "json.nowhere", "sys"])
def test_a_module_without_source_offers_nothing(module: str) -> None:
    assert names(module) == []
