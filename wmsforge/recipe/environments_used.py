"""Which environments the steps of a recipe need, and whether they are built; known without opening anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from wmsforge.env.build import Built, find
from wmsforge.env.locks import EnvironmentOffer, Lock, find_lock
from wmsforge.errors import PluginError, StepError, WmsforgeError
from wmsforge.options import Env, EnvPython
from wmsforge.recipe.fingerprint import PlanningContext
from wmsforge.recipe.model import ComponentUse, Recipe, Step
from wmsforge.registry import Registry
from wmsforge.steps.base import Component, EnvironmentUse


@dataclass(frozen=True)
class UsedEnvironment:
    """One environment of a recipe, with one value of the option `env`."""

    name: str
    env: Env
    steps: tuple[str, ...]
    offer: EnvironmentOffer | None = None
    """None if no plugin offers it; `problem` says so."""
    lock: Lock | None = None
    """None for a Python of the user's own, or the one that runs wmsforge."""
    built: Built | None = None
    problem: str = ""
    """Why there is no such environment for this machine, and what to do."""

    @property
    def kind(self) -> str:
        """Return "cpu", "cuda", "current", or "own" for a Python that the recipe names."""
        if isinstance(self.env, EnvPython):
            return "own"
        return self.lock.path.stem if self.lock else self.env

    @property
    def state(self) -> str:
        """Return "built", "to be built", or what is wrong; of a Python that is used as it is, its path."""
        if self.problem:
            return self.problem.splitlines()[0]
        if isinstance(self.env, EnvPython):
            return str(self.env.python)
        if self.env == "current":
            return "the Python that runs wmsforge"
        return "built" if self.built else "to be built"


def environments_used(recipe: Recipe, steps: Iterable[Step], registry: Registry) -> list[UsedEnvironment]:
    """Return the environments that these steps need, in the order of the recipe.

    Raises:
        StepError: If a component fails to say what it needs.
    """
    found: dict[tuple[str, Env], list[str]] = {}
    for step in steps:
        for use in step.uses:
            for part in parts_of(recipe, use):
                for needed in _needed(recipe, step, part):
                    users = found.setdefault((needed.name, needed.env), [])
                    if step.id not in users:
                        users.append(step.id)
    return [_look_up(registry, name, env, tuple(users)) for (name, env), users in found.items()]


def parts_of(recipe: Recipe, use: ComponentUse) -> Iterator[ComponentUse]:
    """Yield a component and those that it refers to; another step speaks for itself."""
    yield use
    for _, target in use.targets:
        part = recipe.models[target.model] if target.model else target.inline
        if part is not None:
            yield from parts_of(recipe, part)


def planning_component(recipe: Recipe, step: Step, use: ComponentUse) -> Component:
    """Return a component that may be asked what it needs, and can reach nothing."""
    return use.component(use.options, PlanningContext(recipe, step.id))


def _needed(recipe: Recipe, step: Step, use: ComponentUse) -> Sequence[EnvironmentUse]:
    try:
        return planning_component(recipe, step, use).environments()
    except WmsforgeError:
        raise
    except Exception as error:  # a plugin's method may raise anything
        raise StepError(
            f"{recipe.path}:{use.line}: step {step.id!r}: {use.offer.name!r} failed to say which environments it "
            f"needs: {type(error).__name__}: {error}.\n"
            f"This is a fault of the component; report it to its plugin, {use.offer.plugin}."
        ) from error


def _look_up(registry: Registry, name: str, env: Env, steps: tuple[str, ...]) -> UsedEnvironment:
    offer: EnvironmentOffer | None = None
    try:
        offer = registry.environment(name)
        if isinstance(env, EnvPython) or env == "current":
            return UsedEnvironment(name, env, steps, offer)
        lock = find_lock(offer, env)
    except PluginError as error:
        return UsedEnvironment(name, env, steps, offer, problem=str(error))
    return UsedEnvironment(name, env, steps, offer, lock, find(offer, lock))
