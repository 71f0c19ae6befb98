"""Fills the index of a step with vectors that another program made, so that its build need not embed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wmsforge.errors import PluginError, Problem, RecipeError, RecordError, RetryableError, StepError, did_you_mean
from wmsforge.options import Ref
from wmsforge.plugins import PluginHost
from wmsforge.recipe.model import ComponentUse, Recipe, Step, Target
from wmsforge.run.events import Events, Listener
from wmsforge.run.resources import Resources
from wmsforge.run.run_folder import new_run_id
from wmsforge.steps.base import Component
from wmsforge.steps.vectors import Embedded, VectorSource, VectorTarget
from wmsforge.store.ledger import Ledger
from wmsforge.store.workspace import Workspace


@dataclass(frozen=True)
class Imported:
    """What came of an import."""

    step: str
    documents: int
    """That the index holds, with a text."""
    adopted: int
    """Of them, those that the step will find embedded."""
    loader: Mapping[str, Any]
    """What a recipe writes to load the documents."""
    loaded_by: str
    """The step before this one that loads them already, or empty."""


def find_step(recipe: Recipe, id: str | None) -> Step:
    """Return the step to fill: the one named, else the only one that keeps vectors.

    Raises:
        RecipeError: If there is none, or more than one and none was named.
    """
    able = [step for step in recipe.steps.values() if issubclass(step.uses[0].component, VectorTarget)]
    names = ", ".join(repr(step.id) for step in able)
    if id is None:
        if len(able) == 1:
            return able[0]
        what = f"several steps keep vectors: {names}. Choose: --step {able[0].id}" if able else _NONE
        raise RecipeError(recipe.path, [Problem(0, 0, "steps", what)])
    found = next((step for step in able if step.id == id), None)
    if found is None:
        known = id in recipe.steps
        what = f"the step {id!r} keeps no vectors" if known else f"no step is called {id!r}"
        hint = did_you_mean(id, [step.id for step in able]) or (f" Such are: {names}." if able else f" {_NONE}")
        raise RecipeError(recipe.path, [Problem(0, 0, "--step", f"{what}.{hint}")])
    return found


_NONE = "no step keeps vectors. Add one: index: {use: faiss, from: documents}"


async def import_index(
    recipe: Recipe,
    host: PluginHost,
    workspace: Workspace,
    step: Step,
    reader: str,
    options: Mapping[str, Any],
    listener: Listener | None = None,
) -> Imported:
    """Read an index with the retriever `reader` and keep its vectors for a step.

    Args:
        options: The reader's, without its embedder, which is the step's.

    Raises:
        PluginError: If no plugin offers the reader, or it cannot give vectors.
        RecipeError: If the options are not valid, or the step has more than one embedder.
        StepError: If the index cannot be read, or another embedder made it.
        WorkspaceBusyError: If another process runs in the workspace.
    """
    use = _reader(recipe, host, step, reader, options)
    with workspace.locked(f"wmsforge import-index {recipe.path}"):
        run = new_run_id(workspace, recipe.name)
        folder = workspace.step_folder(recipe.name, step.id)
        events = Events(workspace.root / recipe.name / "imports.jsonl", listener)
        ledger = Ledger(workspace.ledger)
        resources = Resources(recipe, host, ledger, events, run, workspace.models_folder(recipe.name))
        try:
            events.emit("import_started", step=step.id, reader=reader, options=dict(use.written))
            source: VectorSource = await resources.open(use, step.id, folder)
            _check_files(recipe, step, source)
            embedded = await source.embedded()
            target: VectorTarget = await resources.open(step.uses[0], step.id, folder)
            adopted = await target.adopt(embedded)
            events.emit("import_finished", step=step.id, documents=len(embedded.documents), adopted=adopted)
        except (RecordError, RetryableError) as error:
            raise StepError(
                f"The import into step {step.id!r} cannot go on: {error}\nMend this and run the same command again."
            ) from error
        finally:
            await resources.close()
            ledger.close()
            events.close()
    loaded_by = next((id for id in step.sources if _loads(recipe.steps[id], embedded)), "")
    return Imported(step.id, len(embedded.documents), adopted, embedded.loader, loaded_by)


def _reader(recipe: Recipe, host: PluginHost, step: Step, name: str, options: Mapping[str, Any]) -> ComponentUse:
    (offer,) = host.registry.find(name, ["retriever"])
    component: type[Component] = host.registry.load(offer)
    if not issubclass(component, VectorSource):
        raise PluginError(
            f"The retriever {name!r} of {offer.plugin} cannot give the vectors of an index that another program made.\n"
            "Choose one that can: --reader langchain-faiss"
        )
    embedders = list({_described(target): (ref, target) for ref, target in _embedders(step.uses[0])}.values())
    if len(embedders) != 1:
        what = f"an index is imported for one embedder, and step {step.id!r} has {len(embedders)}."
        raise RecipeError(recipe.path, [Problem(step.line, 1, f"steps.{step.id}", what)])
    ((ref, target),) = embedders
    try:
        valid = component.Options.model_validate({**options, "embedder": ref})
    except ValidationError as error:
        problems = [Problem(0, 0, ".".join(map(str, fault["loc"])) or name, fault["msg"]) for fault in error.errors()]
        raise RecipeError(f"{name} (see wmsforge components retriever {name})", problems) from error
    tied = tuple((own, target) for _, own in valid.references())  # the embedder is all that a reader refers to
    return ComponentUse(offer, component, valid, dict(options), step.line, tied)


def _embedders(use: ComponentUse) -> Iterator[tuple[Ref, Target]]:
    """Yield the embedders that a component refers to, itself or inline."""
    for ref, target in use.targets:
        if ref.kind == "embedder":
            yield ref, target
        elif target.inline:
            yield from _embedders(target.inline)


def _described(target: Target) -> str:
    if target.inline is None:
        return target.model
    return json.dumps([target.inline.offer.name, target.inline.options.model_dump(mode="json")], default=str)


def _check_files(recipe: Recipe, step: Step, source: Any) -> None:
    """Raise StepError if a file that the reader needs is missing."""
    try:
        source.inputs()
    except RecordError as error:
        raise StepError(f"{recipe.path}: nothing to import for step {step.id!r}. {error.detail}") from error


def _loads(step: Step, embedded: Embedded) -> bool:
    """Tell whether a step loads the documents of the index, by what the recipe says of it."""
    use = step.uses[0]
    given = use.options.model_dump(mode="json")
    wanted = {name: value for name, value in embedded.loader.items() if name != "use"}
    same_place = Path(str(given.get("path"))).absolute() == Path(str(wanted.pop("path", None))).absolute()
    return use.offer.name == embedded.loader["use"] and same_place and wanted.items() <= given.items()
