"""The budget of a recipe: read with its units, changed by `--set`, and no part of what a step makes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wmsforge.recipe.fingerprint import fingerprint, step_identity
from wmsforge.recipe.model import Budget, Recipe

RECIPE = """\
name: wms
{budget}
steps:
  documents: {{use: files, path: data}}
"""


@pytest.mark.parametrize(
    ("written", "budget"),
    [
        ("", None),
        ("budget:", None),
        ("budget: {usd: 1.5}", Budget(usd=1.5)),
        ("budget: {requests: 1e3}", Budget(requests=1000)),
        ("budget: {usd: 0, requests: 10, tokens: 200}", Budget(usd=0, requests=10, tokens=200)),
    ],
)
def test_each_unit_is_a_limit_of_its_own(load: Callable[..., Recipe], written: str, budget: Budget | None) -> None:
    assert load(RECIPE.format(budget=written)).budget == budget


@pytest.mark.parametrize("written", ["", "budget:", "budget: {usd: 1}"])
def test_set_gives_a_budget_or_a_higher_one(load: Callable[..., Recipe], written: str) -> None:
    recipe = load(RECIPE.format(budget=written), overrides=["budget.usd=2"])
    assert recipe.budget == Budget(usd=2)
    assert recipe.written["budget"] == {"usd": 2}


def test_set_adds_a_unit_beside_the_one_there_and_takes_the_budget_away(load: Callable[..., Recipe]) -> None:
    text = RECIPE.format(budget="budget: {usd: 1}")
    assert load(text, overrides=["budget.tokens=500"]).budget == Budget(usd=1, tokens=500)
    assert load(text, overrides=["budget="]).budget is None


def test_another_budget_makes_no_step_again(load: Callable[..., Recipe]) -> None:
    identities = set()
    for written in ("", "budget: {usd: 1}", "budget: {usd: 2, requests: 5}"):
        recipe = load(RECIPE.format(budget=written))
        identities.add(fingerprint(step_identity(recipe, recipe.steps["documents"], {}, None)))
    assert len(identities) == 1
