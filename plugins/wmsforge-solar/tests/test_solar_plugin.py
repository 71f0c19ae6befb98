"""The plugin as the engine sees it: names without imports, options with descriptions."""

import subprocess
import sys

import pytest

from wmsforge.plugins import load_plugins
from wmsforge.steps.answer_generator import AnswerGenerator
from wmsforge.steps.chat_model import ChatModel

COMPONENTS = {"solar-rag": ("answer_generator", AnswerGenerator), "transformers": ("chat_model", ChatModel)}


def test_no_module_that_the_plan_needs_imports_anything_heavy():
    heavy = ("torch", "transformers", "peft", "bitsandbytes", "jinja2", "numpy")
    code = (
        "import sys, wmsforge_solar.answers, wmsforge_solar.chat_model; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", COMPONENTS)
def test_components_are_offered_and_every_option_is_described(name):
    kind, base = COMPONENTS[name]
    registry = load_plugins().registry
    (offer,) = registry.find(f"wmsforge-solar/{name}", [kind])
    component = registry.load(offer)
    assert issubclass(component, base)
    for option, field in component.Options.model_fields.items():
        assert field.description, option
    component.Options.model_json_schema()
