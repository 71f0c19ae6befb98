"""`wmsforge components`: what recipes can use, and the options of each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from wmsforge.cli.table import print_table
from wmsforge.cli.terminal import as_json, clean
from wmsforge.errors import did_you_mean
from wmsforge.steps import KINDS

if TYPE_CHECKING:
    from wmsforge.registry import Registry


@click.command()
@click.argument("kind", required=False, shell_complete=lambda *_: list(KINDS))
@click.argument("name", required=False)
@click.option("--json", "as_data", is_flag=True, help="Print JSON.")
@click.pass_context
def components(context: click.Context, kind: str | None, name: str | None, as_data: bool) -> None:
    """List components, of one KIND if given; with KIND and NAME show a component's options."""
    if kind is not None and kind not in KINDS:
        known = f" Kinds: {', '.join(KINDS)}."
        raise click.BadParameter(f"no kind is called {kind!r}.{did_you_mean(kind, list(KINDS))}{known}")
    from wmsforge.plugins import load_plugins

    registry = load_plugins(disabled=context.obj["no_plugin"]).registry
    if kind and name:
        _show(registry, kind, name, as_data)
        return
    order = list(KINDS)
    offers = sorted(
        (offer for offer in registry.offers if kind in (None, offer.kind)),
        key=lambda offer: (order.index(offer.kind), offer.name, offer.plugin),
    )
    if as_data:
        click.echo(as_json([asdict(offer) for offer in offers], indent=2))
        return
    rows = [(offer.kind, offer.name, offer.plugin, offer.summary) for offer in offers]
    print_table(("kind", "name", "plugin", "summary"), rows)


def _show(registry: Registry, kind: str, name: str, as_data: bool) -> None:
    """Print one component and its options.

    Raises:
        PluginError: If there is no such component, or it cannot be imported.
    """
    from wmsforge.recipe.describe import option_rows

    offer = registry.find(name, [kind])[0]
    rows = option_rows(registry.load(offer).Options)
    if as_data:
        click.echo(as_json({**asdict(offer), "options": [asdict(row) for row in rows]}, indent=2))
        return
    click.echo(clean(f"{offer.kind} {offer.name} ({offer.plugin} {offer.version}): {offer.summary}"))
    if rows:
        cells = [(row.name, row.type, row.default, row.description) for row in rows]
        print_table(("option", "type", "default", "description"), cells)
