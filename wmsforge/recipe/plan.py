"""What a run would do: which steps run, which are reused, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmsforge.errors import Problem, RecipeError, did_you_mean
from wmsforge.files import file_digest
from wmsforge.recipe.fingerprint import fingerprint, step_identity
from wmsforge.recipe.model import Recipe, Step
from wmsforge.store.manifest import Manifest
from wmsforge.store.record_store import parts_size
from wmsforge.store.workspace import Workspace


@dataclass(frozen=True)
class PlannedStep:
    """One step of a plan."""

    step: Step
    folder: Path
    fingerprint: str
    identity: Mapping[str, Any]
    reason: str
    """Why it runs, in words; empty when its store is reused."""
    manifest: Manifest | None
    """That of the store to reuse."""
    preview: bool = False

    @property
    def reused(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Plan:
    """All steps of a run, in order."""

    recipe: Recipe
    steps: Mapping[str, PlannedStep]
    limit: int | None = None

    def models(self) -> list[str]:
        """Return the ids of the models that steps to run will use."""
        used = {model for planned in self.steps.values() if not planned.reused for model in planned.step.models()}
        return [model for model in self.recipe.models if model in used]


def make_plan(
    recipe: Recipe,
    workspace: Workspace,
    *,
    until: str | None = None,
    restart: str | None = None,
    limit: int | None = None,
    remade: Mapping[str, str] | None = None,
) -> Plan:
    """Return what a run of this recipe would do.

    Args:
        until: Last step to run; steps that it does not need are left out.
        restart: Step to make anew, with everything after it (`--from`).
        limit: Questions of a preview run; it is kept apart from the full run.
        remade: Further steps to make anew, and why, in words.

    Raises:
        RecipeError: If `until` or `restart` names no step, or `restart` one that `until` leaves out.
        StepError: If a file that a step reads does not exist.
    """
    for option, name in (("--until", until), ("--from", restart)):
        if name is not None and name not in recipe.steps:
            message = f"no step is called {name!r}.{did_you_mean(name, list(recipe.steps))}"
            raise RecipeError(recipe.path, [Problem(0, 0, option, message)])
    _check_outputs(recipe)
    wanted = set(recipe.steps) if until is None else _with_needs(recipe, until)
    if restart is not None and restart not in wanted:
        message = f"step {restart!r} is not needed for {until!r}, the last one to run. Leave --until out."
        raise RecipeError(recipe.path, [Problem(0, 0, "--from", message)])
    restarted: set[str] = set()
    planned: dict[str, PlannedStep] = {}
    for step in recipe.steps.values():
        if step.id not in wanted:
            continue
        if step.id == restart or restarted & set(step.needs()):
            restarted.add(step.id)
        asked = "asked for by --from" if step.id in restarted else (remade or {}).get(step.id, "")
        planned[step.id] = _plan_step(recipe, workspace, step, planned, asked, limit)
    return Plan(recipe, planned, limit)


def only(plan: Plan, last: Collection[str]) -> Plan:
    """Return the part of a plan that some of its steps need, with these."""
    wanted: set[str] = set()
    for step in last:
        wanted |= _with_needs(plan.recipe, step)
    return Plan(plan.recipe, {id: step for id, step in plan.steps.items() if id in wanted}, plan.limit)


def _check_outputs(recipe: Recipe) -> None:
    """Raise RecipeError if two steps write one file: the second would replace what the first made."""
    first: dict[Path, str] = {}
    problems = []
    for step in recipe.steps.values():
        path = getattr(step.uses[0].options, "path", None) if step.produces == "dataset" else None
        if path is None:
            continue
        other = first.setdefault(Path(path).absolute(), step.id)
        if other != step.id:
            message = f"{str(path)!r} is also written by step {other!r}. Give each dataset a path of its own."
            problems.append(Problem(step.line, 1, f"steps.{step.id}.path", message))
    if problems:
        raise RecipeError(recipe.path, problems)


def _plan_step(
    recipe: Recipe,
    workspace: Workspace,
    step: Step,
    planned: Mapping[str, PlannedStep],
    asked: str,
    limit: int | None,
) -> PlannedStep:
    needs = list(step.needs())
    preview = limit is not None and (step.kind == "question_generator" or any(planned[id].preview for id in needs))
    folder = workspace.step_folder(recipe.name, step.id, preview)
    fingerprints = {id: planned[id].fingerprint for id in needs}
    identity = step_identity(recipe, step, fingerprints, limit if preview else None)
    manifest = Manifest.read(folder)
    running = [id for id in dict.fromkeys(needs) if not planned[id].reused]
    if asked:
        reason = asked
    elif step.kind == "server":
        reason = "a server runs anew each time"
    elif manifest is None:
        reason = "not done yet"
    elif manifest.fingerprint != fingerprint(identity):
        reason = ", ".join(differences(manifest.identity, identity)) or "changed"
    elif running:
        reason = f"{running[0]} runs"
    elif changed := _changed_needs(manifest, needs, planned):
        reason = f"{changed[0]} changed"
    elif gone := _damaged(folder, manifest):
        reason = f"{gone} is gone or was changed"
    else:
        reason = ""
    return PlannedStep(step, folder, fingerprint(identity), identity, reason, None if reason else manifest, preview)


def _with_needs(recipe: Recipe, last: str) -> set[str]:
    found = {last}
    for step in reversed(list(recipe.steps.values())):  # each comes after what it needs
        if step.id in found:
            found.update(step.needs())
    return found


def _changed_needs(manifest: Manifest, needs: Collection[str], planned: Mapping[str, PlannedStep]) -> list[str]:
    """Return the reused steps that made something else since this one ran, such as by `--until` or a stop."""
    made = {need: planned[need].manifest for need in needs}
    return [need for need, its in made.items() if its is not None and manifest.inputs.get(need) != its.digest]


def _damaged(folder: Path, manifest: Manifest) -> str:
    """Return what is no longer as the step left it, empty when all is; folders check themselves when opened."""
    if manifest.artifact is None:
        return "" if parts_size(folder) == manifest.bytes_ else f"a part of {folder}"
    path = Path(manifest.artifact.path)
    files = dict(manifest.also)
    if manifest.artifact.path and not path.is_dir():
        files[manifest.artifact.path] = manifest.digest
    for name, digest in files.items():
        if not Path(name).is_file() or file_digest(Path(name)) != digest:
            return name
    return ""


def differences(old: Any, new: Any, path: str = "", skip: Collection[str] = ("scheme",)) -> list[str]:
    """Return what changed between two identities: `top_k: 3 -> 5`; fingerprints are not spelled out."""
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        if old.get("use") != new.get("use"):  # another component: its options say nothing beside the old one's
            return [f"use: {old.get('use')} -> {new.get('use')}"]
        found = []
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key) and key not in skip:
                if path.endswith("files") or path == "from":
                    change = "changed" if key in old and key in new else "added" if key in new else "removed"
                    found.append(f"{key} {change}")
                else:
                    found.extend(differences(old.get(key), new.get(key), key))
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [change for before, after in zip(old, new, strict=True) for change in differences(before, after, path)]
    return [f"{path}: {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
