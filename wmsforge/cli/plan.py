"""`wmsforge plan`: what a run would do, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.loading import load_plan, planning_options
from wmsforge.cli.table import print_table
from wmsforge.cli.terminal import amount, as_json

if TYPE_CHECKING:
    from wmsforge.recipe.plan import Plan, PlannedStep


@click.command()
@planning_options
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
@click.pass_context
def plan(context: click.Context, /, as_data: bool, **arguments: Any) -> None:
    """Show which steps `run` would run, which it would reuse, and why. Runs nothing."""
    planned = load_plan(context, **arguments).plan
    if as_data:
        click.echo(as_json(_data(planned), indent=2))
        return
    rows = [(step.step.id, ", ".join(_components(step)), _action(step), step.reason) for step in planned.steps.values()]
    print_table(("step", "component", "action", "why"), rows)
    running = sum(not step.reused for step in planned.steps.values())
    click.echo(f"{amount(running, 'steps')} of {len(planned.steps)} would run.")


def _data(plan: Plan) -> dict[str, Any]:
    steps = [
        {
            "id": step.step.id,
            "kind": step.step.kind,
            "components": _components(step),
            "run": not step.reused,
            "why": step.reason,
            "preview": step.preview,
            "fingerprint": step.fingerprint,
            "folder": str(step.folder),
        }
        for step in plan.steps.values()
    ]
    return {"recipe": plan.recipe.path, "name": plan.recipe.name, "limit": plan.limit, "steps": steps}


def _action(step: PlannedStep) -> str:
    if step.reused:
        return "reuse"
    return "preview" if step.preview else "run"


def _components(step: PlannedStep) -> list[str]:
    return [use.offer.name for use in step.step.uses]
