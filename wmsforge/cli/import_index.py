"""`wmsforge import-index`: an index that another program made becomes ours, and nothing is embedded again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.completion import complete_step
from wmsforge.cli.loading import recipe_argument, workspace_option
from wmsforge.cli.terminal import amount, as_json, clean
from wmsforge.store.workspace import DEFAULT, Workspace

if TYPE_CHECKING:
    from wmsforge.run.importing import Imported


@click.command("import-index")
@recipe_argument
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--step", metavar="STEP", shell_complete=complete_step, help="Step to fill; needed if several could be.")
@click.option(
    "--reader",
    default="langchain-faiss",
    metavar="NAME",
    help="Retriever that reads FOLDER, by default that of wmsforge-langchain.",
)
@click.option("--option", "options", multiple=True, metavar="KEY=VALUE", help="Option of the reader: index_name=wms.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value of the recipe.")
@workspace_option
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
@click.pass_context
def import_index(
    context: click.Context,
    recipe: str,
    folder: Path,
    step: str | None,
    reader: str,
    options: tuple[str, ...],
    overrides: tuple[str, ...],
    workspace: Path,
    as_data: bool,
) -> None:
    """Take over the vectors of an index in FOLDER, such as LangChain's, for RECIPE's step that searches.

    FOLDER is read and not changed, and nothing in it is run. The step's embedder must be the one that made the
    index; that is checked. When the recipe then loads the documents of FOLDER, `wmsforge run` embeds none of them.
    """
    import asyncio

    from wmsforge.plugins import load_plugins
    from wmsforge.recipe.load import load_recipe
    from wmsforge.run.importing import find_step, import_index

    host = load_plugins(disabled=context.obj["no_plugin"])
    loaded = load_recipe(Path(recipe), overrides=overrides, registry=host.registry)
    target = find_step(loaded, step)
    given = {"path": folder.as_posix(), **_parsed(options)}
    imported = asyncio.run(import_index(loaded, host, Workspace(workspace), target, reader, given, _say))
    if as_data:
        click.echo(as_json({**vars(imported), "loader": dict(imported.loader)}, indent=2))
        return
    where = [] if workspace == DEFAULT else ["--workspace", str(workspace)]
    for line in _told(imported, shlex.join(["wmsforge", "run", recipe, *where])):
        click.echo(clean(line))


def _told(imported: Imported, command: str) -> list[str]:
    import yaml

    lines = [f"{imported.step}: {imported.adopted:,} of {amount(imported.documents, 'passages')} are embedded already."]
    if imported.adopted < imported.documents:
        rest = imported.documents - imported.adopted
        lines.append(f"Not kept: {rest:,}, which the step cuts before it embeds them. A larger chunk_chars keeps them.")
    if not imported.loaded_by:
        step = yaml.safe_dump(
            dict(imported.loader), default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
        )
        lines += ["Let the recipe load them, else they are not used:", f"  documents: {step.strip()}"]
    lines.append(f"next: {command}")
    return lines


def _parsed(options: tuple[str, ...]) -> dict[str, Any]:
    from wmsforge.yaml import yaml12

    parsed = {}
    for text in options:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE.", param_hint="--option")
        tree = yaml12.parse(value)
        if tree.problems:
            raise click.BadParameter(
                f"the value in {text!r} is no YAML: {tree.problems[0].message}", param_hint="--option"
            )
        parsed[key] = tree.value
    return parsed


def _say(event: str, facts: dict[str, Any]) -> None:
    if event == "warning":
        click.echo(clean(f"warning: {facts['step']}: {facts['message']}"), err=True)
