"""`wmsforge status`: what a workspace holds, recipe by recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.completion import complete_recipe
from wmsforge.cli.loading import workspace_option
from wmsforge.cli.money import by_model, cost, paid_by_step, requests, total, usd
from wmsforge.cli.parking import both_times
from wmsforge.cli.rows import count_lines, last_json_line
from wmsforge.cli.stored import recipe_name, run_facts, step_names
from wmsforge.cli.terminal import amount, as_json, clean, clock, console
from wmsforge.store.workspace import Workspace

if TYPE_CHECKING:
    from wmsforge.store.manifest import Paid

OUTCOMES = {"run_finished": "finished", "run_failed": "failed", "run_stopped": "stopped", "run_parked": "parked"}
"""The last event of a run -> how it ended. A run with another one goes on, or its process was killed."""


@click.command()
@click.argument("recipe", required=False, shell_complete=complete_recipe)
@workspace_option
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
def status(recipe: str | None, workspace: Path, as_data: bool) -> None:
    """Show the steps of RECIPE (a file, or the name of one that was run), or of all recipes.

    Needs no plugin: it reads what is in the workspace.
    """
    place = Workspace(workspace)
    names = place.recipes() if recipe is None else [recipe_name(recipe, place)]
    holder = place.holder()
    newest = max((run.name for name in place.recipes() for run in place.runs(name)), default="")
    facts = {
        "workspace": str(workspace),
        "in_use_by": holder or None,
        "ledger": _ledger(place),
        "recipes": [_recipe(place, name, running=newest if holder else "") for name in names],
    }
    if as_data:
        click.echo(as_json(facts, indent=2))
    else:
        _print(facts)


def _ledger(place: Workspace) -> dict[str, int]:
    from wmsforge.store.ledger import Ledger

    if not place.ledger.exists():
        return {"calls": 0, "bytes": 0}
    ledger = Ledger(place.ledger)
    try:
        return {"calls": ledger.count(), "bytes": place.ledger.stat().st_size}
    finally:
        ledger.close()


def _recipe(place: Workspace, name: str, running: str) -> dict[str, Any]:
    runs = place.runs(name)
    paid = paid_by_step(place, name)
    return {
        "name": name,
        "paid": {model: its.model_dump() for model, its in by_model(paid).items()},
        "last_run": _run(runs[-1], running) if runs else None,
        "steps": [
            _step(place, name, step, preview) | {"paid": _paid(paid, step)}
            for preview in (False, True)
            for step in step_names(place, name, preview=preview)
        ],
    }


def _paid(paid: Mapping[tuple[str, str], Paid], step: str) -> dict[str, Any]:
    """Return what a step paid over all runs, previews too, by model."""
    return {model: its.model_dump() for (owner, model), its in paid.items() if owner == step}


def _run(folder: Path, running: str) -> dict[str, Any]:
    last = last_json_line(folder / "events.jsonl")
    state = OUTCOMES.get(last.get("event", ""), "running" if folder.name == running else "killed")
    facts = run_facts(folder)
    keys = ("recipe", "limit", "command")
    return {
        "id": folder.name,
        "state": state,
        "parked_until": last.get("reset_at"),
        "why": last.get("error"),
        "last_event_at": last.get("at"),
        **{key: facts.get(key) for key in keys},
    }


def _step(place: Workspace, name: str, step: str, preview: bool) -> dict[str, Any]:
    from wmsforge.store.manifest import Manifest

    folder = place.step_folder(name, step, preview)
    partial = folder.with_name(f"{step}.partial")
    manifest = Manifest.read(folder)
    facts: dict[str, Any] = {"id": step, "preview": preview, "state": "done" if manifest else "not finished"}
    facts["partial"] = partial.is_dir()
    if manifest is None and partial.is_dir():
        facts |= {"out": count_lines(partial.glob("part-*")), "rejected": count_lines(partial.glob("rejected.jsonl"))}
    elif manifest is not None:
        facts |= {
            "kind": manifest.kind,
            "components": [component["name"] for component in manifest.components],
            "in": manifest.counts.read,
            "out": manifest.counts.out if manifest.artifact is None else None,
            "rejected": manifest.counts.rejected,
            "reasons": manifest.counts.reasons,
            "calls": {model: calls.model_dump() for model, calls in manifest.calls.items()},
            "artifact": manifest.artifact.model_dump(mode="json") if manifest.artifact else None,
            "seconds": manifest.seconds,
            "started_at": manifest.started_at,
            "run": manifest.run,
        }
    return facts


def _print(facts: dict[str, Any]) -> None:
    out = console()
    use = f"in use by {facts['in_use_by']}" if facts["in_use_by"] else "not in use"
    ledger = f"{amount(facts['ledger']['calls'], 'calls')}, {facts['ledger']['bytes'] / 1e6:.1f} MB"
    out.print(clean(f"workspace {facts['workspace']}: {use}; ledger: {ledger}"), soft_wrap=True)
    if not facts["recipes"]:
        out.print("No recipe was run here yet. Run one: wmsforge run RECIPE")
    for recipe in facts["recipes"]:
        out.print()
        out.print(clean(_headline(recipe)), style="bold", soft_wrap=True)
        if recipe["last_run"] and recipe["last_run"]["state"] == "parked":
            out.print(clean(recipe["last_run"]["why"].splitlines()[0]), soft_wrap=True)
        out.print(_table(recipe["steps"]))
        if recipe["paid"]:
            out.print(clean(_bill(recipe["paid"])), soft_wrap=True)


def _headline(recipe: dict[str, Any]) -> str:
    run = recipe["last_run"]
    if run is None:
        return f"{recipe['name']}: no run"
    preview = f", a preview of {run['limit']}" if run["limit"] else ""
    state = f"parked until {both_times(run['parked_until'])}" if run["parked_until"] else run["state"]
    return f"{recipe['name']}: last run {run['id']}{preview}, {state} (last event {run['last_event_at']})"


def _bill(paid: Mapping[str, Any]) -> str:
    """Return what a recipe paid over all its runs, in one line."""
    from wmsforge.store.manifest import Paid

    models = {model: Paid.model_validate(its) for model, its in paid.items()}
    return f"all runs: {requests(total(models.values()))}, {cost(models) or 'free'}"


def _table(steps: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("step", "component", "state"):
        table.add_column(heading)
    for heading in ("in", "out", "rejected", "calls", "tokens", "cost", "time"):
        table.add_column(heading, justify="right")
    table.add_column("made at")
    full = {step["id"] for step in steps if not step["preview"]}
    for step in steps:
        told_above = step["preview"] and step["id"] in full  # the ledger does not tell a preview's calls from others
        table.add_row(*map(clean, _cells(step | {"paid": {}} if told_above else step)))
    return table


def _money(step: dict[str, Any]) -> Iterator[str]:
    """Yield calls, tokens and cost of a step."""
    from wmsforge.store.manifest import Paid

    paid = total(Paid.model_validate(its) for its in step["paid"].values())
    if not paid.calls + paid.attempts:
        yield from ("", "", "")
        return
    yield f"{paid.calls:,}"
    yield amount(paid.tokens, "").rstrip()
    yield (
        "unknown"
        if paid.unpriced and not paid.cost_usd
        else usd(paid.cost_usd) + (" + unknown" if paid.unpriced else "")
    )


def _cells(step: dict[str, Any]) -> Iterator[str]:
    yield f"{step['id']} (preview)" if step["preview"] else step["id"]
    yield ", ".join(step.get("components", ()))
    yield f"{step['state']}, and a newer partial one" if step["partial"] and "kind" in step else step["state"]
    for count in ("in", "out", "rejected"):
        yield "" if step.get(count) is None else f"{step[count]:,}"
    yield from _money(step)
    yield clock(step["seconds"]) if "seconds" in step else ""
    yield step.get("started_at", "")
