"""`wmsforge check`: whether a recipe is right, without running it."""

from __future__ import annotations

from pathlib import Path

import click

from wmsforge.cli.loading import recipe_argument
from wmsforge.cli.terminal import amount, as_json
from wmsforge.errors import RecipeError


@click.command()
@recipe_argument
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value: steps.answers.top_k=5.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(context: click.Context, recipe: str, overrides: tuple[str, ...], as_data: bool) -> None:
    """Check RECIPE: its components exist, their options are valid, its steps fit together.

    All mistakes are shown at once with their lines; the exit code is 2 then. Nothing runs.
    """
    from wmsforge.plugins import load_plugins
    from wmsforge.recipe.load import load_recipe

    registry = load_plugins(disabled=context.obj["no_plugin"]).registry
    try:
        loaded = load_recipe(Path(recipe), registry=registry, overrides=overrides)
    except RecipeError as error:
        if not as_data:
            raise
        problems = [vars(problem) for problem in error.problems]
        click.echo(as_json({"recipe": recipe, "valid": False, "problems": problems}, indent=2))
        context.exit(error.exit_code)
    if as_data:
        found = {"valid": True, "steps": list(loaded.steps), "models": list(loaded.models), "problems": []}
        click.echo(as_json({"recipe": recipe, **found}, indent=2))
        return
    steps, models = amount(len(loaded.steps), "steps"), amount(len(loaded.models), "models")
    click.echo(f"{recipe} is valid: {steps}, {models}.")
