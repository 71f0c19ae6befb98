"""Reads a recipe through two gates, names and options, and reports everything that is wrong at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wmsforge.errors import did_you_mean
from wmsforge.recipe.components import Components
from wmsforge.recipe.drafts import ID, Draft, read_models, read_steps
from wmsforge.recipe.kinds import settle_models, settle_steps
from wmsforge.recipe.model import ComponentUse, Recipe, Step, models_of
from wmsforge.recipe.source import Source, read_source
from wmsforge.recipe.spending import read_budget
from wmsforge.recipe.wiring import check_sources, cycles, in_order
from wmsforge.recipe.wording import shown
from wmsforge.registry import Registry

_LANGUAGE = re.compile(r"[a-z]{2,3}")


def load_recipe(
    path: Path,
    *,
    registry: Registry,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Recipe:
    """Return a recipe whose components exist, whose options are valid and whose steps fit together.

    Args:
        registry: The components there are.
        overrides: `--set` texts such as `steps.answers.top_k=5`, applied in order.
        environ: Where `${NAME}` is looked up.

    Raises:
        RecipeError: If anything is wrong, with all problems.
    """
    source = read_source(path, overrides)
    head = _head(source)
    budget = read_budget(source)
    models, steps = read_models(source), read_steps(source)
    settle_models(source, registry, models)
    settle_steps(source, registry, steps)
    components = Components(source, registry, environ, models, steps)
    built_models = {id: _first(components, draft) for id, draft in models.items()}
    built_steps = {id: _step(source, components, draft, steps) for id, draft in steps.items()}
    ready = {id: step for id, step in built_steps.items() if step}
    needs = {id: list(dict.fromkeys(ready[id].needs() if id in ready else steps[id].sources)) for id in steps}
    _report_cycles(source, "steps", needs)
    _report_cycles(source, "models", {id: list(models_of(use)) if use else [] for id, use in built_models.items()})
    source.close()
    return Recipe(
        path=str(path),
        **head,
        budget=budget,
        models={id: use for id, use in built_models.items() if use},
        steps={id: ready[id] for id in in_order(needs)[0]},
        written=source.value,
    )


def _head(source: Source) -> dict[str, Any]:
    """Return name, language, seed and limits; report what is wrong at the top level."""
    value = source.value
    known = [*_HEAD, "budget", "models", "steps"]
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known) or f" Known are: {', '.join(known)}."
            source.problem((key,), f"the key {key!r} is unknown.{hint}", ())
    for key, example in (("name", "name: wms"), ("steps", "steps: {documents: {use: files, path: data}}")):
        if value.get(key) in (None, {}):
            source.problem((), f"{key!r} is missing; write for example: {example}")
    head = {key: value[key] for key in _HEAD if value.get(key) is not None}
    for key, found in head.items():
        fits, wanted = _HEAD[key]
        if not fits(found):
            source.problem((key,), f"must be {wanted}, got {shown(found)}.")
    return {"language": "ko", "seed": 0, **head}


_HEAD: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda value: _matches(ID, value), "letters, digits, '_' and '-'"),
    "language": (lambda value: _matches(_LANGUAGE, value), "a language code such as ko"),
    "seed": (lambda value: type(value) is int and value >= 0, "an integer >= 0"),
    "max_rejected_share": (lambda value: type(value) in (int, float) and 0 <= value <= 1, "a number from 0 to 1"),
}
"""What stands at the top level beside `budget`, `models` and `steps`: its check, and what it must be."""


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value))


def _first(components: Components, draft: Draft) -> ComponentUse | None:
    return components.build(draft.uses[0]) if draft.uses else None


def _step(source: Source, components: Components, draft: Draft, steps: Mapping[str, Draft]) -> Step | None:
    built = [components.build(use) for use in draft.uses]
    for name in draft.beside:
        owners = [use.name for use in draft.uses if use.component and name in use.component.Options.model_fields]
        element = f"{{use: {owners[0] if owners else '...'}, {name}: ...}}"
        message = f"the option {name!r} cannot stand beside a list of filters. Put it into the list: {element}"
        source.problem((*draft.path, name), message, draft.path)
    if not draft.uses or draft.uses[0].component is None:
        return None
    check_sources(source, draft, steps)
    uses = tuple(use for use in built if use)
    if len(uses) < len(built):
        return None
    return Step(draft.id, draft.kind, uses, tuple(draft.sources), source.line(draft.path), draft.produces)


def _report_cycles(source: Source, section: str, needs: Mapping[str, Sequence[str]]) -> None:
    for cycle in cycles(needs):
        chain = [f"{id} needs {need}" for id, need in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]
        who = f"the {section} wait for each other" if len(cycle) > 1 else "it waits for itself"
        source.problem((section, cycle[0]), f"{who}: {', '.join(chain)}.")
