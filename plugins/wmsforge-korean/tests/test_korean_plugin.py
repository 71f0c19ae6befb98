"""The plugin as the engine sees it: names without imports, options with descriptions."""

import subprocess
import sys

import pytest

from wmsforge.plugins import load_plugins
from wmsforge.steps.filter import CorpusFilter, Filter

NAMES = {"grounded": Filter, "near-duplicates": CorpusFilter, "personal-data": Filter}


def test_module_of_the_hooks_imports_nothing_heavy():
    heavy = ("kiwipiepy", "ko_pii", "numpy", "rapidfuzz", "pydantic")
    code = f"import sys, wmsforge_korean; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_filters_are_offered_and_every_option_is_described(name):
    registry = load_plugins().registry
    (offer,) = registry.find(f"wmsforge-korean/{name}", ["filter"])
    component = registry.load(offer)
    assert issubclass(component, NAMES[name])
    for option, field in component.Options.model_fields.items():
        assert field.description, option
    component.Options.model_json_schema()
