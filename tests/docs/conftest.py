"""What the tests of the documentation share."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.append(str(Path(__file__).parent))
from docs_pages import ROOT

from wmsforge.plugins import PluginHost, load_plugins


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bundled_host(generate: ModuleType) -> PluginHost:
    """A host with all bundled plugins; the test is skipped where one is not installed."""
    host = load_plugins()
    if lacking := generate.missing(host):
        pytest.skip(f"bundled plugins that are not installed here: {', '.join(lacking)}")
    return host
