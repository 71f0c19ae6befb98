"""`wmsforge plan`: what a run would do and why, and what it would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.loading import Planned, load_plan, planning_options
from wmsforge.cli.table import print_table
from wmsforge.cli.terminal import amount, as_json, clean

if TYPE_CHECKING:
    from wmsforge.recipe.environments_used import UsedEnvironment
    from wmsforge.recipe.plan import Plan, PlannedStep
    from wmsforge.run.sampling import Sampled


@click.command()
@planning_options
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="First send N questions through the steps that call models, to measure them. Their calls are paid, once.",
)
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
@click.pass_context
def plan(context: click.Context, /, sample: int | None, as_data: bool, **arguments: Any) -> None:
    """Show which steps `run` would run, which it would reuse, and why; and what their calls may cost.

    Runs nothing, unless --sample asks for it.
    """
    if sample and arguments["limit"]:
        raise click.UsageError("--sample is a preview itself, so --limit cannot stand beside it.")
    planned = load_plan(context, **arguments)
    taken = _take_sample(context, planned, sample) if sample else None
    if taken is not None:  # a sample may have made what steps read, such as an index
        planned = load_plan(context, **arguments)
    _show(planned, taken, as_data)


def _take_sample(context: click.Context, planned: Planned, limit: int) -> Sampled | None:
    """Run the preview; None if no step that would run calls a model."""
    from wmsforge.cli.running import execute
    from wmsforge.run.sampling import sample_plan, sampled

    preview = sample_plan(planned.plan, planned.workspace, limit)
    if preview is None:
        click.echo("Nothing to sample: no step that would run calls a model.", err=True)
        return None
    steps = execute(context, Planned(planned.host, preview, planned.workspace))
    return sampled(preview, steps, planned.workspace)


def _show(planned: Planned, taken: Sampled | None, as_data: bool) -> None:
    from wmsforge.cli.money import by_model, paid_by_step, total
    from wmsforge.cli.quotes import HEADERS, notes, quote_rows, quotes_data
    from wmsforge.recipe.environments_used import environments_used
    from wmsforge.recipe.estimate import estimate
    from wmsforge.recipe.models_called import notices

    plan = planned.plan
    paid = paid_by_step(planned.workspace, plan.recipe.name)
    stored = {who: its.calls for who, its in paid.items()}
    quoted = estimate(plan, stored, taken.steps if taken else None)
    spent = total(paid.values())
    running = [step for step in plan.steps.values() if not step.reused]
    environments = environments_used(plan.recipe, [step.step for step in running], planned.host.registry)
    if as_data:
        money = quotes_data(quoted, plan.recipe.budget, by_model(paid), spent, taken)
        click.echo(as_json(_data(plan, environments) | money, indent=2))
        return
    rows = [(step.step.id, ", ".join(_components(step)), _action(step), step.reason) for step in plan.steps.values()]
    print_table(("step", "component", "action", "why"), rows)
    click.echo(f"{amount(len(running), 'steps')} of {len(plan.steps)} would run.")
    if environments:
        click.echo()
        cells = [(one.name, one.kind, one.state, ", ".join(one.steps)) for one in environments]
        print_table(("environment", "for", "state", "steps"), cells)
    if not quoted.quotes:
        return
    click.echo()
    print_table(HEADERS, list(quote_rows(quoted)))
    for line in [*notes(quoted, plan.recipe.budget, spent, taken), *notices(plan)]:
        click.echo(clean(line))


def _data(plan: Plan, environments: list[UsedEnvironment]) -> dict[str, Any]:
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
            "environments": [
                {"name": one.name, "for": one.kind, "state": one.state}
                for one in environments
                if step.step.id in one.steps
            ],
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
