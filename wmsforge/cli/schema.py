"""`wmsforge schema`: what an editor needs to complete and check recipes."""

from __future__ import annotations

from pathlib import Path

import click

from wmsforge.cli.terminal import as_json, clean


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write instead of stdout.")
@click.pass_context
def schema(context: click.Context, output: Path | None) -> None:
    """Print the JSON Schema of recipes, with the options of every installed component."""
    from wmsforge.plugins import load_plugins
    from wmsforge.recipe.schema import recipe_schema

    registry = load_plugins(disabled=context.obj["no_plugin"]).registry
    text = as_json(recipe_schema(registry, lambda message: click.echo(clean(message), err=True)), indent=2)
    if output is None:
        click.echo(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text + "\n", encoding="utf-8")
    click.echo(f"Wrote {output}. First line of a recipe that uses it:", err=True)
    click.echo(f"# yaml-language-server: $schema={output.resolve()}", err=True)
