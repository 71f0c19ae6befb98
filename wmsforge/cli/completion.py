"""What the shell offers for the arguments of our commands; fast, because it runs at every Tab."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from wmsforge.cli.stored import is_recipe, recipe_name, step_names, written_recipe
from wmsforge.errors import WmsforgeError
from wmsforge.store.workspace import DEFAULT, Workspace


def complete_recipe(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer recipe files that begin with what is typed, also those one folder down; else any file."""
    found = [
        path.as_posix()
        for pattern in (f"{incomplete}*.yaml", f"{incomplete}*/*.yaml")
        for path in sorted(Path().glob(pattern) if not Path(incomplete).is_absolute() else ())
        if is_recipe(path)
    ]
    return [CompletionItem(path) for path in found] or [CompletionItem(incomplete, type="file")]


def complete_step(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Offer the ids of the steps of the recipe that was typed before."""
    # While an option still lacks its value, click has not sorted the arguments yet.
    recipe = context.params.get("recipe") or next(iter(context.args), "")
    workspace = Workspace(Path(context.params.get("workspace") or DEFAULT))
    try:
        if Path(recipe).is_file():
            steps = list(written_recipe(Path(recipe)).get("steps") or ())
        else:
            steps = step_names(workspace, recipe_name(recipe, workspace))
    except WmsforgeError:  # there is nothing to offer, and a message would end up in the command line
        return []
    return [step for step in steps if step.startswith(incomplete)]
