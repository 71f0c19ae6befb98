"""`wmsforge peek`: the rows of a step, for reading."""

from __future__ import annotations

import random as random_module
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wmsforge.cli import rows as rows_of
from wmsforge.cli.completion import complete_step
from wmsforge.cli.loading import recipe_argument, workspace_option
from wmsforge.cli.stored import Left, NotFoundError, find_left, recipe_name, step_names
from wmsforge.cli.terminal import as_json, clean, console
from wmsforge.errors import did_you_mean
from wmsforge.store.workspace import Workspace


@click.command()
@recipe_argument
@click.argument("step", shell_complete=complete_step)
@click.option("-n", "count", type=click.IntRange(min=1), default=5, show_default=True, help="Rows to show at most.")
@click.option("--rejected", is_flag=True, help="Show what was rejected, with the reasons.")
@click.option("--reason", metavar="CODE", help="Show what was rejected for this reason.")
@click.option("--id", "wanted", metavar="ID", help="Show rows whose id, or whose question's id, begins so.")
@click.option("--passages", is_flag=True, help="Show the texts of the passages behind an answer.")
@click.option(
    "--random",
    "seed",
    type=int,
    is_flag=False,
    flag_value=-1,
    metavar="[SEED]",
    help="Choose rows at random; the same SEED chooses the same.",
)
@click.option("--preview", is_flag=True, help="Look at the last `run --limit`.")
@workspace_option
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object a line, everything in it.")
def peek(
    recipe: str,
    step: str,
    count: int,
    rejected: bool,
    reason: str | None,
    wanted: str | None,
    passages: bool,
    seed: int | None,
    preview: bool,
    workspace: Path,
    as_data: bool,
) -> None:
    """Show rows of STEP of RECIPE (a file, or the name of one that was run).

    Works on a step that is running or was interrupted too. For an index, a model or a dataset it
    shows what is known about it, for a dataset in JSON also its rows.
    """
    place = Workspace(workspace)
    name = recipe_name(recipe, place)
    known = step_names(place, name, preview=preview)
    if step not in known:
        raise NotFoundError(_no_step(recipe, step, known, preview))
    left = find_left(place.step_folder(name, step, preview))
    rejected = rejected or reason is not None
    if rejected and not left.holds_records:
        others = ", ".join(other for other in known if other != step)
        raise NotFoundError(f"Step {step!r} makes no records, so it rejects none.\nLook at another: {others}.")
    rows = left.rejected() if rejected else left.rows()
    if reason is not None:
        rows = (row for row in rows if row["reason"] == reason)
    if wanted is not None:
        rows = (row for row in rows if any(id.startswith(wanted) for id in _ids(row)))
    if seed == -1:
        seed = random_module.randrange(10_000)
    chosen = rows_of.first(rows, count) if seed is None else rows_of.sample(rows, count, seed)
    if as_data:
        for _, row in chosen:
            click.echo(as_json(row))
        return
    _print(step, left, chosen, rejected=rejected, passages=passages, seed=seed)


def _no_step(recipe: str, step: str, known: list[str], preview: bool) -> str:
    what = "the preview of " if preview else ""
    if not known:
        command = f"wmsforge run {recipe}{' --limit 3' if preview else ''}"
        return f"No step of {what}{recipe!r} was run yet.\nRun it: {command}"
    return f"Step {step!r} left nothing in {what}{recipe!r}.{did_you_mean(step, known)}\nThese did: {', '.join(known)}."


def _ids(row: Any) -> Iterator[str]:
    for holder in (row, row.get("question"), row.get("metadata"), row.get("record")):
        if isinstance(holder, dict) and isinstance(holder.get("id"), str):
            yield holder["id"]


def _print(
    step: str, left: Left, chosen: list[tuple[int, Any]], *, rejected: bool, passages: bool, seed: int | None
) -> None:
    from wmsforge.cli.show import rejected_text, row_text

    out = console()
    for line in _facts(step, left):
        out.print(clean(line), style="dim", soft_wrap=True)
    if seed is not None:
        out.print(f"chosen at random, --random {seed}", style="dim")
    show = rejected_text if rejected else row_text
    for number, row in chosen:
        out.print()
        out.print(show(number, row, passages=passages), soft_wrap=True)
    if not chosen and left.holds_records:
        out.print(f"No {'rejected record' if rejected else 'record'} to show.")


def _facts(step: str, left: Left) -> Iterator[str]:
    manifest = left.manifest
    if manifest is None:
        so_far = " These are its records so far." if left.holds_records else ""
        yield f"{step} is not finished: it is running, was stopped or failed.{so_far}"
        if left.earlier:
            yield f"The finished ones of an earlier run are in {left.earlier}."
        return
    counts = manifest.counts
    made = f"{counts.read:,} in"
    if manifest.artifact is None:
        made += f", {counts.out:,} out, {counts.rejected:,} rejected"
    yield f"{step}: {made}; run {manifest.run}, {manifest.started_at}, {manifest.seconds:,.1f} s"
    reasons = sorted(counts.reasons.items(), key=lambda pair: -pair[1])
    if reasons:
        yield "rejected: " + ", ".join(f"{reason} {count:,}" for reason, count in reasons)
    if manifest.artifact is not None:
        yield f"{manifest.artifact.kind}: {manifest.artifact.url or manifest.artifact.path}"
        for name, value in manifest.artifact.facts.items():
            yield f"  {name}: {value if isinstance(value, (str, int, float)) else as_json(value)}"
