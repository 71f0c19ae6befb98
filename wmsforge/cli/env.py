"""`wmsforge env`: the environments that plugins own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.table import print_table
from wmsforge.cli.terminal import as_json, clean

if TYPE_CHECKING:
    from wmsforge.env.locks import EnvironmentOffer, Lock
    from wmsforge.registry import Registry

KIND = click.option(
    "--for",
    "kind",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="The lock to take: what this machine has, a CPU, or an NVIDIA GPU.",
)
NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...")


@click.group()
def env() -> None:
    """List, build, check and remove the environments that plugins own."""


@env.command("list")
@KIND
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
@click.pass_context
def list_(context: click.Context, kind: str, as_data: bool) -> None:
    """List all environments, and which are built."""
    facts = [_facts(offer, kind) for offer in _registry(context).environments]
    if as_data:
        click.echo(as_json({"environments": facts}, indent=2))
        return
    rows = [[str(one[name]) for name in ("name", "plugin", "state", "packages", "summary")] for one in facts]
    print_table(("environment", "plugin", "state", "packages", "what for"), rows)


@env.command()
@NAMES
@KIND
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take everything from this folder, which `bundle` filled, and nothing from an index.",
)
@click.pass_context
def build(context: click.Context, names: tuple[str, ...], kind: str, wheels: Path | None) -> None:
    """Build environments now; a run builds what it needs by itself."""
    from wmsforge.env.build import build as build_one

    for offer, lock in _found(context, names, kind):
        built = build_one(offer, lock, _say, wheels)
        click.echo(f"{offer.name}: {built.folder}")


@env.command()
@NAMES
@KIND
@click.pass_context
def check(context: click.Context, names: tuple[str, ...], kind: str) -> None:
    """Compare what is installed in environments with their locks. Exit code 3 if something differs."""
    from wmsforge.env.build import differences, find

    wrong = False
    for offer, lock in _found(context, names, kind):
        built = find(offer, lock)
        problems = ["not built"] if built is None else differences(built.python, lock)
        wrong |= bool(problems)
        click.echo(clean(f"{offer.name}: {'; '.join(problems) or f'as its lock says, {len(lock.pins)} packages'}"))
        if problems:
            again = f"wmsforge env build {offer.name} --for {kind}"
            remedy = again if built is None else f"wmsforge env remove {offer.name} && {again}"
            click.echo(f"Build it: {remedy}", err=True)
    context.exit(3 if wrong else 0)


@env.command()
@NAMES
@click.pass_context
def remove(context: click.Context, names: tuple[str, ...]) -> None:
    """Delete environments, those of older locks too."""
    from wmsforge.env.build import remove as remove_one

    registry = _registry(context)
    for name in names:
        registry.environment(name)
        folders = remove_one(name)
        click.echo("\n".join(f"removed {folder}" for folder in folders) or f"{name} is not built.")


@env.command()
@click.argument("name")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@KIND
@click.pass_context
def bundle(context: click.Context, name: str, folder: Path, kind: str) -> None:
    """Collect in FOLDER the wheels of an environment, for a machine without network: `build --wheels FOLDER` there."""
    from wmsforge.env.build import download

    ((offer, lock),) = _found(context, (name,), kind)
    download(offer, lock, folder, _say)
    click.echo(f"{folder} holds {name}. Build it there: wmsforge env build {name} --for {kind} --wheels {folder}")


def _registry(context: click.Context) -> Registry:
    from wmsforge.plugins import load_plugins

    return load_plugins(disabled=context.obj["no_plugin"]).registry


def _found(context: click.Context, names: tuple[str, ...], kind: str) -> list[tuple[EnvironmentOffer, Lock]]:
    from wmsforge.env.locks import find_lock

    registry = _registry(context)
    return [(offer, find_lock(offer, kind)) for offer in map(registry.environment, names)]


def _facts(offer: EnvironmentOffer, kind: str) -> dict[str, Any]:
    from wmsforge.env.build import find, folder_of
    from wmsforge.env.locks import find_lock
    from wmsforge.errors import PluginError

    facts: dict[str, Any] = {"name": offer.name, "plugin": offer.plugin, "summary": offer.summary}
    try:
        lock = find_lock(offer, kind)
    except PluginError as error:
        return {**facts, "state": str(error).splitlines()[0], "packages": "", "folder": None}
    built = find(offer, lock) is not None
    folder = str(folder_of(offer, lock)) if built else None
    return {**facts, "state": "built" if built else "not built", "packages": len(lock.pins), "folder": folder}


def _say(line: str) -> None:
    click.echo(clean(line), err=True)
