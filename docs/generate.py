"""Writes the reference pages: components.md from the plugins' options, cli.md from the commands' help.

    python docs/generate.py

All bundled plugins must be installed. A test compares the pages with what this would write.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from wmsforge.cli import COMMANDS, main
from wmsforge.options import Options
from wmsforge.plugins import BUILTIN, PluginHost, load_plugins
from wmsforge.recipe.describe import OptionRow, option_rows
from wmsforge.registry import Offer
from wmsforge.steps import KINDS

DOCS = Path(__file__).parent
WIDTH = 100
"""Columns of the help texts."""
_NOTE = "<!-- Written by docs/generate.py. Change the code, then run it again. -->"


def bundled() -> list[str]:
    """Return the names of the plugins of this repository, the core's own components first."""
    return [BUILTIN, *sorted(path.parent.name for path in DOCS.parent.glob("plugins/*/pyproject.toml"))]


def missing(host: PluginHost) -> list[str]:
    """Return the bundled plugins that are not installed, or that are disabled."""
    there = {plugin.name for plugin in host.plugins if plugin.status != "disabled"}
    return [name for name in bundled() if name not in there]


def components_page(host: PluginHost) -> str:
    """Return components.md.

    Raises:
        PluginError: If a component cannot be loaded.
    """
    lines = [
        _NOTE,
        "# Components",
        "",
        "Every component that comes with wmsforge, by kind, with its options.",
        "`wmsforge components` lists what is installed on your machine, `wmsforge components KIND NAME` shows one.",
        "",
    ]
    offers = [offer for offer in host.registry.offers if offer.plugin in bundled()]
    for kind in KINDS:
        of_kind = sorted((offer for offer in offers if offer.kind == kind), key=lambda offer: offer.name)
        lines += [f"## {kind}", ""]
        if not of_kind:
            lines += ["None yet; a plugin can bring one.", ""]
        for offer in of_kind:
            lines += _component(offer, host.registry.load(offer).Options)
    return "\n".join(lines).rstrip() + "\n"


def _component(offer: Offer, options: type[Options]) -> Iterator[str]:
    yield from (f"### {offer.name}", "", f"{offer.summary} Plugin: `{offer.plugin}`.", "")
    rows = option_rows(options)
    if not rows:
        yield from ("No options.", "")
        return
    yield from ("| option | type | default | description |", "|---|---|---|---|")
    for row in rows:
        cells = (f"`{row.name}`", row.type, _default(row, options), row.description)
        yield f"| {' | '.join(map(_escaped, cells))} |"
    yield ""


def _escaped(text: str) -> str:
    """Return a cell's text with bars escaped, and outside of code the `*` and `<` that Markdown would act on."""
    marked = re.sub(r"(`[^`]*`)|[*]|<(?=\w)", lambda match: match[1] or f"\\{match[0]}", text)
    return marked.replace("|", r"\|")


def _default(row: OptionRow, options: type[Options]) -> str:
    """Return the default as code; one that a function works out differs between machines, so it is not shown."""
    if inspect.isfunction(options.model_fields[row.name].default_factory):
        return "see description"
    return row.default if row.default == "required" else f"`{row.default}`"


def cli_page() -> str:
    """Return cli.md: the help of `wmsforge` and of each command."""
    lines = [_NOTE, "# Command line", "", "What `wmsforge --help` and `wmsforge COMMAND --help` print.", ""]
    root = main.make_context("wmsforge", [], resilient_parsing=True, max_content_width=WIDTH, terminal_width=WIDTH)
    lines += ["## wmsforge", "", "```text", main.get_help(root), "```", ""]
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None  # it stands in the table
        context = click.Context(command, root, name)
        lines += [f"## wmsforge {name}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    host = load_plugins()
    if lacking := missing(host):
        sys.exit(f"Not installed: {', '.join(lacking)}.\nInstall them: pip install -e plugins/NAME")
    (DOCS / "components.md").write_text(components_page(host), encoding="utf-8")
    (DOCS / "cli.md").write_text(cli_page(), encoding="utf-8")
