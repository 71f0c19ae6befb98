"""The recipe itself: whether it loads, its variables are set and its inputs are there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wmsforge.errors import RecipeError, StepError, WmsforgeError
from wmsforge.recipe.environment import variables
from wmsforge.recipe.environments_used import parts_of
from wmsforge.recipe.fingerprint import step_identity
from wmsforge.recipe.load import load_recipe
from wmsforge.recipe.model import ComponentUse, Recipe, Step
from wmsforge.recipe.models_called import check_prices, notices
from wmsforge.recipe.plan import make_plan
from wmsforge.recipe.source import read_source
from wmsforge.registry import Registry
from wmsforge.steps.machine import Finding
from wmsforge.store.workspace import Workspace

Add = Callable[[str, Iterable[Finding]], None]
"""Takes a subject and what was found about it."""
STAND_IN = "http://127.0.0.1:9"
"""In place of a variable that is not set, so that all else can be looked at. Most options take it: it is a text, and
an address."""


@dataclass(frozen=True)
class Readable:
    """A recipe that loads, if need be with stand-ins for variables that are not set."""

    recipe: Recipe
    unset: frozenset[str]

    def waits(self, use: ComponentUse) -> bool:
        """Tell whether a component cannot be asked anything before a variable is set."""
        return any(self.unset & variables(part.written).keys() for part in parts_of(self.recipe, use))


def read(path: Path, overrides: Sequence[str], registry: Registry, add: Add) -> Readable | None:
    """Return the recipe; None when it is too wrong for anything else to be looked at."""
    try:
        recipe = load_recipe(path, registry=registry, overrides=overrides)
    except RecipeError as error:
        add("recipe", _problems(error))
        return _with_stand_ins(path, overrides, registry, add)
    add("recipe", [Finding("ok", f"{path} is valid, and all its plugins are there")])
    add("recipe", _variables(recipe))
    return Readable(recipe, frozenset())


def _with_stand_ins(path: Path, overrides: Sequence[str], registry: Registry, add: Add) -> Readable | None:
    try:
        used = variables(read_source(path, overrides).value)
        unset = frozenset(name for name, needed in used.items() if needed and name not in os.environ)
        environ = {**os.environ, **dict.fromkeys(unset, STAND_IN)}
        recipe = load_recipe(path, registry=registry, overrides=overrides, environ=environ)
    except RecipeError:
        what = "inputs, environments, disk and GPU were not looked at: that needs a recipe that is right"
        add("recipe", [Finding("warning", what, "Mend the recipe, then run the same command again.")])
        return None
    return Readable(recipe, unset)


def steps_to_run(readable: Readable, workspace: Workspace, add: Add) -> list[Step]:
    """Return the steps that a run would not reuse; all of them while something is wrong with what they read."""
    recipe = readable.recipe
    if readable.unset:
        add("inputs", _inputs(readable))
        return list(recipe.steps.values())
    try:
        plan = make_plan(recipe, workspace)
        check_prices(plan)
    except RecipeError as error:
        add("recipe", _problems(error))
        return list(recipe.steps.values())
    except StepError:
        add("inputs", _inputs(readable))
        return list(recipe.steps.values())
    add("inputs", [Finding("ok", "every file that a step reads is there")])
    add("models", [Finding("warning", notice, "Choose another model.") for notice in notices(plan)])
    running = [planned.step for planned in plan.steps.values() if not planned.reused]
    if len(running) < len(plan.steps):
        done = len(plan.steps) - len(running)
        add("recipe", [Finding("ok", f"{done} of {len(plan.steps)} steps are done; what they need is not looked at")])
    return running


def _inputs(readable: Readable) -> Iterator[Finding]:
    """Yield what is missing, of every step: planning stops at the first."""
    fingerprints = dict.fromkeys(readable.recipe.steps, "")
    for step in readable.recipe.steps.values():
        if any(readable.waits(use) for use in step.uses):
            yield Finding("warning", f"the inputs of step {step.id!r} were not looked at", "Set its variables first.")
            continue
        try:
            step_identity(readable.recipe, step, fingerprints, None)
        except StepError as error:
            yield from_error(error)


def from_error(error: WmsforgeError) -> Finding:
    """Return a finding for an error, whose first line says what is wrong and whose others are the remedy."""
    what, *remedy = str(error).splitlines()
    return Finding("error", what, " ".join(remedy))


def _problems(error: RecipeError) -> list[Finding]:
    return [Finding("error", problem.render(error.path)) for problem in error.problems]


def _variables(recipe: Recipe) -> Iterator[Finding]:
    """Yield what is to be said of variables; their values never are."""
    used = variables(recipe.written)
    there = [name for name in used if os.environ.get(name)]
    empty = [name for name, needed in used.items() if needed and name not in there]
    if there:
        yield Finding("ok", f"these variables are set: {', '.join(there)}")
    for name in empty:
        yield Finding("warning", f"the variable {name} is set, but empty", f"export {name}=...")
