"""The identity of a step's output: what would have to change for it to come out differently.

In: the components and their versions, the options that matter, the files they read, the models
and steps they refer to, the fingerprints of the steps they read from, language and seed.
Not in: secrets, options marked `NotIdentity`, versions of packages (a component whose output
changes raises its own `version`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wmsforge.errors import RecordError, StepError
from wmsforge.files import file_digest
from wmsforge.recipe.environment import mentions_variable
from wmsforge.recipe.model import ComponentUse, Recipe, Step, Target
from wmsforge.steps.base import Component

SCHEME = 1
"""Raise it when the rules here change: every step then runs again."""


class PlanningContext:
    """The context of a component that is only asked for its identity; it can reach nothing."""

    def __init__(self, recipe: Recipe, step: str) -> None:
        self.step = step
        self.language = recipe.language
        self.seed = recipe.seed
        self.folder = Path()

    async def chat(self, ref: object) -> Any:
        raise RuntimeError("a component may not open others before open()")

    embedder = retriever = filter = chat

    async def environment(self, name: str, env: object) -> Any:
        raise RuntimeError("a component may not open an environment before open()")

    def warn(self, message: str) -> None:
        """Planning says nothing; the same words come again when the step runs."""


def fingerprint(identity: Mapping[str, Any]) -> str:
    """Return 16 hex digits for an identity."""
    text = json.dumps(identity, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def step_identity(recipe: Recipe, step: Step, fingerprints: Mapping[str, str], limit: int | None) -> dict[str, Any]:
    """Return what a step's fingerprint is the hash of, as JSON values that can be compared.

    Args:
        fingerprints: Those of all steps it needs.
        limit: Of a preview, for the steps that it changes.

    Raises:
        StepError: If a file that the step reads does not exist.
    """
    identity: dict[str, Any] = {
        "scheme": SCHEME,
        "kind": step.kind,
        "language": recipe.language,
        "seed": recipe.seed,
        "components": [_use_identity(recipe, step.id, use, fingerprints) for use in step.uses],
        "from": {source: fingerprints[source] for source in step.sources},
    }
    return identity if limit is None else {**identity, "limit": limit}


def _use_identity(recipe: Recipe, step: str, use: ComponentUse, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    component = use.component(use.options, PlanningContext(recipe, step))
    identity: dict[str, Any] = component_identity(use, component)
    files = _files(recipe, step, use, component)
    if files:
        identity["files"] = files
    for ref, target in use.targets:
        key = ".".join(str(part) for path, known in use.options.references() if known is ref for part in path)
        identity.setdefault("references", {})[key] = _target_identity(recipe, step, target, fingerprints)
    return identity


def component_identity(use: ComponentUse, component: Component) -> dict[str, Any]:
    """Return the identity of a component apart from its files and references.

    It is stored and shown, so a value from the environment is in it as a digest only.
    """
    options = component.identity()
    for name in options.keys() & use.written.keys():
        if mentions_variable(use.written[name]):
            options[name] = f"from the environment, {fingerprint({name: options[name]})}"
    return {
        "use": f"{use.offer.plugin}/{use.offer.name}",
        "version": type(component).version,
        "options": options,
    }


def _target_identity(recipe: Recipe, step: str, target: Target, fingerprints: Mapping[str, str]) -> Any:
    if target.step:
        return fingerprints[target.step]
    use = recipe.models[target.model] if target.model else target.inline
    assert use is not None  # a target has exactly one of the three
    return _use_identity(recipe, step, use, fingerprints)


def _files(recipe: Recipe, step: str, use: ComponentUse, component: Component) -> dict[str, str]:
    try:
        return {path.as_posix(): file_digest(path) for path in component.inputs()}
    except (RecordError, OSError) as error:
        what = error.detail if isinstance(error, RecordError) else str(error)
        raise StepError(f"{recipe.path}:{use.line}: step {step!r} cannot start: {what}") from error
