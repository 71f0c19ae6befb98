"""`${NAME}`: replaced for checking, never kept, never shown."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from wmsforge.recipe.environment import replace
from wmsforge.recipe.fingerprint import PlanningContext, component_identity
from wmsforge.recipe.model import Recipe

RECIPE = """\
name: secret
models:
  expert: {use: echo, api_key: "${KEY}", base_url: "http://${HOST:-localhost}/v1", concurrency: "${N}"}
steps:
  questions: {use: ask, model: {use: echo, api_key: "${KEY}"}, greet: "${GREET:-true}"}
"""
KEY = "AIza-very's\\secret"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "1"),
        ("a ${A} b ${B}${A}", "a 1 b two1"),
        ("${MISSING:-plan b}", "plan b"),
        ("${EMPTY:-plan b}", "plan b"),
        ("${EMPTY}", ""),
        ("${MISSING:-}", ""),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A", "$A"),
        ("cost: 5$", "cost: 5$"),
        (3, 3),
        (["${A}", {"deep": "${B}"}], ["1", {"deep": "two"}]),
        ({"use": "echo", "key": "${A}"}, {"use": "echo", "key": "${A}"}),
    ],
)
def test_variables_are_replaced(written: object, value: object) -> None:
    environ = {"A": "1", "B": "two", "EMPTY": ""}
    replaced = replace({"option": written}, environ)
    assert replaced.value == {"option": value}
    assert replaced.problems == {}


def test_a_value_that_is_not_text_is_a_problem() -> None:
    problems = replace({"option": "${BYTES}"}, {"BYTES": "caf\udce9"}).problems
    assert problems == {("option",): "the environment variable BYTES does not hold UTF-8 text."}


def test_a_variable_alone_may_stand_for_a_number_or_a_boolean(load: Callable[..., Recipe]) -> None:
    recipe = load(RECIPE, environ={"KEY": KEY, "N": "3e0"})
    assert recipe.models["expert"].options.concurrency == 3  # type: ignore[attr-defined]
    assert recipe.steps["questions"].uses[0].options.greet is True  # type: ignore[attr-defined]


def test_a_variable_that_looks_like_a_number_stays_text_where_text_is_needed(load: Callable[..., Recipe]) -> None:
    recipe = load(RECIPE, environ={"KEY": "123", "HOST": "0x1F", "N": "1"})
    options = recipe.models["expert"].options
    assert options.api_key.get_secret_value() == "123"  # type: ignore[attr-defined]
    assert options.base_url == "http://0x1F/v1"  # type: ignore[attr-defined]


def test_what_is_kept_of_a_recipe_holds_variables_as_written(load: Callable[..., Recipe]) -> None:
    recipe = load(RECIPE, environ={"KEY": KEY, "HOST": "host.internal", "N": "3"})
    inline = recipe.steps["questions"].uses[0].targets[0][1].inline
    assert inline is not None
    assert inline.options.api_key.get_secret_value() == KEY  # type: ignore[attr-defined]
    assert inline.written == {"api_key": "${KEY}"}
    kept = [recipe.written, recipe.models["expert"].written, recipe.steps["questions"].uses[0].written, repr(recipe)]
    for value in map(str, kept):
        assert "${KEY}" in value
        assert "AIza" not in value
    assert "host.internal" not in str(recipe.written)


def test_a_fingerprint_changes_with_the_environment_and_does_not_hold_it(load: Callable[..., Recipe]) -> None:
    def identity(host: str) -> str:
        recipe = load(RECIPE, environ={"KEY": KEY, "HOST": host, "N": "3"})
        expert = recipe.models["expert"]
        component = expert.component(expert.options, PlanningContext(recipe, "questions"))
        return json.dumps(component_identity(expert, component), sort_keys=True)

    assert identity("a.internal") == identity("a.internal") != identity("b.internal")
    assert "internal" not in identity("a.internal")
    assert "AIza" not in identity("a.internal")


def test_every_missing_variable_is_named_with_its_remedy(mistakes: Callable[..., list[str]]) -> None:
    remedy = "the environment variable {0} is not set. Set it: export {0}=..."
    assert mistakes(RECIPE) == [
        f"recipe.yaml:3:23  models.expert.api_key: {remedy.format('KEY')}",
        f"recipe.yaml:3:84  models.expert.concurrency: {remedy.format('N')}",
        f"recipe.yaml:5:44  steps.questions.model.api_key: {remedy.format('KEY')}",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('concurrency: "${KEY}"', "concurrency: must be an integer, got the value of ${KEY}."),
        ('concurrency: "-${KEY}"', "concurrency: must be an integer, got the value of -${KEY}."),
        ('api_key: ["${KEY}"]', "api_key: must be text."),
        ('base_url: "${KEY}"', "base_url: must be an address that begins with http, got '${KEY}'."),
        ('base_url: "ftp ${KEY}"', "base_url: must be an address that begins with http, got 'ftp ${KEY}'."),
        ("base_url: 'say \"${KEY}\"'", "base_url: must be an address that begins with http, got 'say '${KEY}''."),
        ('fallback: "${KEY}"', "fallback: a variable cannot say what is referred to. Write the id or the name itself."),
        (
            'fallback: {use: echo, timeout_s: "${KEY}"}',
            "fallback.timeout_s: must be a number, got the value of ${KEY}.",
        ),
    ],
)
@pytest.mark.parametrize("key", [KEY, "sk-0123456789", "it's", 'say "hi"', "두 줄\n비밀"])
def test_a_message_never_shows_what_a_variable_holds(
    mistakes: Callable[..., list[str]], key: str, line: str, message: str
) -> None:
    text = f"name: secret\nmodels:\n  expert:\n    use: echo\n    {line}\nsteps:\n  q: {{use: ask, model: expert}}\n"
    told = mistakes(text, environ={"KEY": key})
    assert [entry.split("  ", 1)[1].replace('"', "'") for entry in told] == [f"models.expert.{message}"]


def test_a_validator_that_fails_cannot_show_it_either(mistakes: Callable[..., list[str]]) -> None:
    text = 'name: s\nsteps:\n  q: {use: ask, model: echo}\n  k: {use: careless, from: q, mode: "${KEY}"}\n'
    (told,) = mistakes(text, environ={"KEY": KEY})
    assert told == 'recipe.yaml:4:3  steps.k: the plugin failed to check its options: KeyError: "${KEY}"'
