"""`wmsforge plugins`: what is installed, what became of it, and what it offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.table import print_table
from wmsforge.cli.terminal import as_json, clean

if TYPE_CHECKING:
    from wmsforge.plugins import Plugin, PluginHost
    from wmsforge.registry import Offer


@click.command()
@click.option("--failed", is_flag=True, help="Only those that failed to load, with their tracebacks.")
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
@click.pass_context
def plugins(context: click.Context, failed: bool, as_data: bool) -> None:
    """List the installed plugins, what they offer, and names that two of them claim."""
    from wmsforge.plugins import load_plugins

    host = load_plugins(disabled=context.obj["no_plugin"])
    shown = [plugin for plugin in host.plugins if plugin.status == "failed" or not failed]
    if as_data:
        click.echo(as_json({"plugins": [_data(host, plugin) for plugin in shown], "clashes": _clashes(host)}, indent=2))
        return
    if failed:
        _print_failed(shown)
        return
    rows = [(plugin.name, plugin.version, plugin.status, _said(host, plugin)) for plugin in shown]
    print_table(("plugin", "version", "status", "offers"), rows)
    for clash in _clashes(host):
        first, second = clash["plugins"]
        click.echo(
            f"{clash['kind']} {clash['name']!r} is offered by {first} and {second}. "
            f"Choose one in the recipe: use: {first}/{clash['name']}",
            err=True,
        )


def _print_failed(shown: Sequence[Plugin]) -> None:
    for plugin in shown:
        click.echo(clean(f"{plugin.name} {plugin.version}: {plugin.error}\n{plugin.details}"))
    if not shown:
        click.echo("No plugin failed to load.", err=True)


def _offers(host: PluginHost, plugin: Plugin) -> list[Offer]:
    registry = host.registry
    return [o for o in (*registry.offers, *registry.disabled, *registry.failed) if o.plugin == plugin.name]


def _said(host: PluginHost, plugin: Plugin) -> str:
    """Return why a plugin failed, else its components by kind: `retriever: bm25, hybrid; filter: grounded`."""
    if plugin.error:
        return plugin.error.splitlines()[0]
    by_kind: dict[str, list[str]] = {}
    for offer in _offers(host, plugin):
        by_kind.setdefault(offer.kind, []).append(offer.name)
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items())


def _data(host: PluginHost, plugin: Plugin) -> dict[str, Any]:
    return {**asdict(plugin), "offers": [{"kind": o.kind, "name": o.name} for o in _offers(host, plugin)]}


def _clashes(host: PluginHost) -> list[dict[str, Any]]:
    return [
        {"kind": first.kind, "name": first.name, "plugins": [first.plugin, second.plugin]}
        for first, second in host.registry.clashes()
    ]
