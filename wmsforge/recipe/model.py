"""A recipe after both gates (names, options): every component found, every option valid, every wire tied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wmsforge.options import Options, Ref, is_secret
from wmsforge.registry import Offer
from wmsforge.steps.base import Component


@dataclass(frozen=True)
class Target:
    """What a reference stands for: a `models:` entry, a step, or an inline component; one is set."""

    model: str = ""
    step: str = ""
    inline: ComponentUse | None = None


@dataclass(frozen=True)
class ComponentUse:
    """One place in a recipe where a component is used."""

    offer: Offer
    component: type[Component]
    options: Options
    written: Mapping[str, Any]
    """The options as written, `${NAME}` not replaced: safe to store and show."""
    line: int
    targets: tuple[tuple[Ref, Target], ...] = ()

    def secrets(self) -> dict[str, str]:
        """Return the options that hold secrets, as they are written: `{"api_key": "${GOOGLE_API_KEY}"}`."""
        fields = type(self.options).model_fields
        return {
            name: str(self.written[name]) for name, field in fields.items() if is_secret(field) and name in self.written
        }

    def target(self, ref: Ref) -> Target:
        """Return what a reference of these options stands for."""
        return next(target for known, target in self.targets if known is ref or known == ref)


@dataclass(frozen=True)
class Step:
    """One step: a component, or a chain of filters, and where its input comes from."""

    id: str
    kind: str
    uses: tuple[ComponentUse, ...]
    """One component; several only for a list of filters, in their order."""
    sources: tuple[str, ...]
    """Ids of the steps named by `from`."""
    line: int
    produces: str
    """'Document', 'Question' or 'Answer' for records, else the Artifact kind."""

    def needs(self) -> Iterator[str]:
        """Yield the ids of all steps this one waits for or reads from, `from` first."""
        yield from self.sources
        for use in self.uses:
            yield from _steps_of(use)

    def models(self) -> Iterator[str]:
        """Yield the ids of the `models:` entries this step uses."""
        for use in self.uses:
            yield from models_of(use)


@dataclass(frozen=True)
class Budget:
    """What a recipe may spend over all its runs; None is no limit."""

    usd: float | None = None
    requests: int | None = None
    tokens: int | None = None
    """Of prompts, answers and thoughts."""


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. `steps` is in an order in which every step comes after what it needs."""

    path: str
    name: str
    language: str
    seed: int
    models: Mapping[str, ComponentUse]
    steps: Mapping[str, Step]
    max_rejected_share: float = 0.5
    """Share of its items that a generating step may reject before the run stops, 0..1."""
    budget: Budget | None = None
    written: Mapping[str, Any] = field(default_factory=dict)
    """The whole recipe as written with `--set` applied, `${NAME}` not replaced: safe to store."""


def _steps_of(use: ComponentUse) -> Iterator[str]:
    for _, target in use.targets:
        if target.step:
            yield target.step
        elif target.inline:
            yield from _steps_of(target.inline)


def models_of(use: ComponentUse) -> Iterator[str]:
    """Yield the ids of the `models:` entries that a component refers to, itself or inline."""
    for _, target in use.targets:
        if target.model:
            yield target.model
        elif target.inline:
            yield from models_of(target.inline)


def calls_at_once(use: ComponentUse, models: Mapping[str, ComponentUse]) -> int:
    """Return how many calls the models that a component refers to, itself or inline, take at once; 0 without any."""
    most = 0
    for _, target in use.targets:
        used = models[target.model] if target.model else target.inline
        if used is not None:
            most = max(most, getattr(used.options, "concurrency", 0), calls_at_once(used, models))
    return most
