"""The shape of `models:` and `steps:`: ids, `use`, `from`, `kind` and options, before any component is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from wmsforge.errors import did_you_mean
from wmsforge.recipe.source import Source
from wmsforge.recipe.wording import shown
from wmsforge.registry import Offer
from wmsforge.steps import KINDS
from wmsforge.steps.base import Component
from wmsforge.yaml.yaml12 import Path

RESOURCE_KINDS = ("chat_model", "embedder")
STEP_KINDS = tuple(kind for kind in KINDS if kind not in RESOURCE_KINDS)
ID = re.compile(r"\w[\w-]*")
"""Ids and names become folders and parts of dotted paths."""


@dataclass
class UseDraft:
    """A component that a recipe asks for by name."""

    name: str
    path: Path
    """Where the name stands."""
    options: dict[str, Any]
    options_path: Path
    offer: Offer | None = None
    component: type[Component] | None = None
    """Its class; offer and class stay None when they cannot be had, which has been reported then."""


@dataclass
class Draft:
    """An entry of `models:` or `steps:`."""

    id: str
    path: Path
    uses: list[UseDraft] = field(default_factory=list)
    chained: bool = False
    """Whether `use` is a list."""
    beside: list[str] = field(default_factory=list)
    """Options that stand beside such a list; they have no owner."""
    reads: bool = False
    """Whether `from` is written."""
    sources: list[str] = field(default_factory=list)
    """The steps that `from` names, those that exist."""
    kind: str = ""
    """As written at first; empty while it is not known."""
    produces: str = ""
    """What comes out; empty while it is not known."""


def read_models(source: Source) -> dict[str, Draft]:
    """Return the entries of `models:`."""
    return {draft.id: draft for draft in _entries(source, "models", RESOURCE_KINDS)}


def read_steps(source: Source) -> dict[str, Draft]:
    """Return the entries of `steps:` with their `from`."""
    steps = {draft.id: draft for draft in _entries(source, "steps", STEP_KINDS)}
    for step in steps.values():
        written = source.value["steps"][step.id]
        if isinstance(written, dict) and "from" in written:
            step.reads = True
            step.sources = list(_sources(source, (*step.path, "from"), written["from"], list(steps)))
    return steps


def _entries(source: Source, section: str, kinds: tuple[str, ...]) -> Iterator[Draft]:
    entries = source.value.get(section)
    if entries is None:
        return
    if not isinstance(entries, dict):
        source.problem((section,), f"must be a mapping of ids, got {shown(entries)}.")
        return
    for id, written in entries.items():
        draft = Draft(id, (section, id))
        if not ID.fullmatch(id):
            source.problem(draft.path, f"the id {id!r} may hold only letters, digits, '_' and '-'.")
        if not isinstance(written, dict):
            source.problem(draft.path, f"must be a mapping with 'use', got {shown(written)}.")
        else:
            _read_entry(source, draft, written, kinds)
        yield draft


def _read_entry(source: Source, draft: Draft, written: dict[str, Any], kinds: tuple[str, ...]) -> None:
    reserved = ("use", "kind", "from") if draft.path[0] == "steps" else ("use", "kind")
    options = {key: value for key, value in written.items() if key not in reserved}
    if "kind" in written:
        draft.kind = written["kind"] if written["kind"] in kinds else ""
        if not draft.kind:
            close = did_you_mean(str(written["kind"]), kinds)
            message = f"must be one of {', '.join(kinds)}, got {shown(written['kind'])}.{close}"
            source.problem((*draft.path, "kind"), message)
    use, at = written.get("use"), (*draft.path, "use")
    if isinstance(use, str) and use:
        draft.uses = [UseDraft(use, at, options, draft.path)]
    elif isinstance(use, list) and use and draft.path[0] == "steps":
        draft.chained = True
        draft.uses = [found for index, item in enumerate(use) if (found := _element(source, (*at, index), item))]
        if len(draft.uses) < len(use):
            draft.uses = []
        draft.beside = list(options)
        if draft.kind not in ("", "filter"):
            source.problem(at, f"only filters can stand in a list, and this step's kind is {draft.kind}.")
    elif "use" not in written:
        source.problem(draft.path, "'use' is missing; it names the component. List all: wmsforge components")
    else:
        wanted = "a component's name or a list of filters" if draft.path[0] == "steps" else "a component's name"
        source.problem(at, f"must be {wanted}, got {'an empty list' if use == [] else shown(use)}.")


def _element(source: Source, path: Path, item: Any) -> UseDraft | None:
    if isinstance(item, str) and item:
        return UseDraft(item, path, {}, path)
    if isinstance(item, dict) and isinstance(item.get("use"), str):
        return UseDraft(item["use"], (*path, "use"), {k: v for k, v in item.items() if k != "use"}, path)
    source.problem(path, f"must be a filter's name or a mapping with 'use', got {shown(item)}.")
    return None


def _sources(source: Source, path: Path, written: Any, steps: list[str]) -> Iterator[str]:
    listed = isinstance(written, list)
    seen: set[str] = set()
    for index, id in enumerate(written if listed else [written]):
        at = (*path, index) if listed else path
        if not isinstance(id, str):
            source.problem(at, f"must be the id of a step, got {shown(id)}.")
        elif id not in steps:
            source.problem(at, f"no step is called {id!r}.{did_you_mean(id, steps)}")
        elif id in seen:
            source.problem(at, f"the step {id!r} is named twice.")
        else:
            seen.add(id)
            yield id
    if written == []:
        source.problem(path, "must name a step, got an empty list.")
