"""Finding what recipes left in a workspace, without their plugins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmsforge.cli.rows import json_lines, json_list, store_rows
from wmsforge.errors import WmsforgeError, did_you_mean
from wmsforge.store.workspace import Workspace

if TYPE_CHECKING:
    from wmsforge.store.manifest import Manifest

READERS: dict[str, Callable[[Path], Iterator[Any]]] = {".json": json_list, ".jsonl": json_lines}
"""Suffix of a dataset's file -> what reads its rows."""


class NotFoundError(WmsforgeError):
    """The command line names a recipe or a step that is not there."""

    exit_code = 2


def recipe_name(recipe: str, workspace: Workspace) -> str:
    """Return the name under which a recipe's stores are kept; `recipe` is its file or the name itself.

    Raises:
        NotFoundError: If it is neither a file nor a recipe of the workspace.
        RecipeError: If the file cannot be read.
    """
    path = Path(recipe)
    if path.is_file():
        name = written_recipe(path).get("name")
        if isinstance(name, str):
            return name
        raise NotFoundError(
            f"{recipe} has no name, so its stores cannot be found.\nSee what is wrong: wmsforge check {recipe}"
        )
    known = workspace.recipes()
    if recipe in known:
        return recipe
    here = f"The recipes here: {', '.join(known)}." if known else "No recipe was run there yet."
    raise NotFoundError(
        f"{recipe!r} is no file, and no recipe of the workspace {workspace.root}.{did_you_mean(recipe, known)}\n{here}"
    )


def is_recipe(path: Path) -> bool:
    """Tell whether a YAML file looks like a recipe, without parsing it."""
    return re.search(r"^steps:", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE) is not None


def written_recipe(path: Path) -> Mapping[str, Any]:
    """Return what a recipe file says, unchecked.

    Raises:
        RecipeError: If it is no YAML mapping.
    """
    from wmsforge.recipe.source import read_source

    written: Mapping[str, Any] = read_source(path).value
    return written


def step_names(workspace: Workspace, recipe: str, *, preview: bool = False) -> list[str]:
    """Return the steps that left something, in the order of the last run."""
    folder = workspace.step_folder(recipe, "", preview)
    found = {entry.name.removesuffix(".partial") for entry in folder.iterdir()} if folder.is_dir() else set()
    runs = workspace.runs(recipe)
    order = list(run_facts(runs[-1]).get("steps", ())) if runs else []
    return [step for step in order if step in found] + sorted(found.difference(order))


def run_facts(folder: Path) -> Mapping[str, Any]:
    """Return run.json, empty when the run was killed before it was written."""
    path = folder / "run.json"
    facts: Mapping[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return facts


@dataclass(frozen=True)
class Left:
    """What a step left on disk."""

    folder: Path
    manifest: Manifest | None
    """None while the step is not finished."""
    holds_records: bool
    """False for a step that makes an artifact."""
    earlier: Path | None = None
    """The finished store of an earlier run, when this one is not finished."""

    def rejected(self) -> Iterator[Any]:
        """Yield the lines of rejected.jsonl."""
        path = self.folder / "rejected.jsonl"
        return json_lines(path) if path.is_file() else iter(())

    def rows(self) -> Iterator[Any]:
        """Yield the records, or the rows of a dataset in a format that we can read."""
        if self.holds_records:
            return store_rows(self.folder)
        artifact = self.manifest.artifact if self.manifest else None
        if artifact is None or artifact.kind != "dataset" or not Path(artifact.path).is_file():
            return iter(())
        reader = READERS.get(Path(artifact.path).suffix)
        rows = reader(Path(artifact.path)) if reader else iter(())
        return (row if isinstance(row, dict) else {"row": row} for row in rows)


def find_left(folder: Path) -> Left:
    """Return the newest that a step left: a store that is not finished was begun after the finished one."""
    from wmsforge.store.manifest import Manifest

    partial = folder.with_name(f"{folder.name}.partial")
    if partial.is_dir():
        return Left(partial, None, holds_records=True, earlier=folder if folder.is_dir() else None)
    manifest = Manifest.read(folder)
    return Left(folder, manifest, holds_records=manifest is not None and manifest.artifact is None)
