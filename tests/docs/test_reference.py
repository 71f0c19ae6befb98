"""The reference pages say what the code says."""

from __future__ import annotations

from types import ModuleType

from wmsforge.cli import COMMANDS
from wmsforge.plugins import PluginHost

STALE = "docs/{} is stale; write it anew: python docs/generate.py"


def test_components_md_is_what_the_installed_components_give(generate: ModuleType, bundled_host: PluginHost):
    written = (generate.DOCS / "components.md").read_text(encoding="utf-8")
    assert written == generate.components_page(bundled_host), STALE.format("components.md")


def test_cli_md_is_what_the_commands_print(generate: ModuleType):
    written = (generate.DOCS / "cli.md").read_text(encoding="utf-8")
    assert written == generate.cli_page(), STALE.format("cli.md")
    assert [line for line in written.splitlines() if line.startswith("## wmsforge ")] == [
        f"## wmsforge {name}" for name in COMMANDS
    ]


def test_every_option_of_a_bundled_component_is_described(bundled_host: PluginHost):
    from wmsforge.recipe.describe import option_rows

    registry = bundled_host.registry
    bare = [
        f"{offer.kind} {offer.name}: {row.name}"
        for offer in registry.offers
        for row in option_rows(registry.load(offer).Options)
        if not row.description
    ]
    assert bare == []
