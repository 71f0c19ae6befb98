"""What several commands share: their arguments, and the way from a recipe's path to a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wmsforge.cli.completion import complete_recipe, complete_step
from wmsforge.store.workspace import DEFAULT, Workspace

if TYPE_CHECKING:
    from wmsforge.plugins import PluginHost
    from wmsforge.recipe.plan import Plan

F = TypeVar("F", bound=Callable[..., Any])

recipe_argument = click.argument("recipe", shell_complete=complete_recipe)
workspace_option = click.option(
    "--workspace",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT,
    show_default=True,
    help="Folder of stores, indexes and the ledger.",
)
_PLANNING = (
    recipe_argument,
    click.option(
        "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value: steps.answers.top_k=5."
    ),
    click.option("--until", metavar="STEP", shell_complete=complete_step, help="Last step to run."),
    click.option(
        "--from",
        "restart",
        metavar="STEP",
        shell_complete=complete_step,
        help="Make this step anew, and those after it.",
    ),
    click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", help="Preview: N questions through the whole chain."
    ),
    workspace_option,
)


def planning_options(command: F) -> F:
    """Add RECIPE and the options that decide what a run does."""
    return reduce(lambda decorated, option: option(decorated), reversed(_PLANNING), command)


@dataclass(frozen=True)
class Planned:
    """A recipe on its way: the plugins, the plan and where it is to run."""

    host: PluginHost
    plan: Plan
    workspace: Workspace


def load_plan(
    context: click.Context,
    recipe: str,
    overrides: tuple[str, ...],
    until: str | None,
    restart: str | None,
    limit: int | None,
    workspace: Path,
) -> Planned:
    """Load plugins and recipe and plan the run; the arguments are those of `planning_options`.

    Raises:
        RecipeError: If the recipe or an option names something that does not exist or is not valid.
        PluginError: If a plugin is missing or broken.
        StepError: If a file that a step reads does not exist.
    """
    from wmsforge.plugins import load_plugins
    from wmsforge.recipe.load import load_recipe
    from wmsforge.recipe.plan import make_plan

    host = load_plugins(disabled=context.obj["no_plugin"])
    place = Workspace(workspace)
    loaded = load_recipe(Path(recipe), overrides=overrides, registry=host.registry)
    return Planned(host, make_plan(loaded, place, until=until, restart=restart, limit=limit), place)
