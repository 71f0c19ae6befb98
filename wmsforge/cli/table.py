"""Tables: drawn by rich on a terminal, aligned columns anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from wmsforge.cli.terminal import clean


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text to stdout; the last column takes what room is left."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.table import Table

        from wmsforge.cli.terminal import console

        table = Table(*headers, box=None, pad_edge=False, header_style="dim")
        for row in cleaned:
            table.add_row(*row)
        console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(headers, *cleaned, strict=True)]
    for row in [list(headers), *cleaned]:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(padded).rstrip())
