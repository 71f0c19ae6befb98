"""`wmsforge run`: plan, run, say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.loading import Planned, load_plan, planning_options
from wmsforge.cli.terminal import clean, console
from wmsforge.store.workspace import DEFAULT

if TYPE_CHECKING:
    from wmsforge.run.step_run import StepRun
    from wmsforge.store.manifest import Manifest


@click.command()
@planning_options
@click.option(
    "--retry-rejected",
    "reasons",
    multiple=True,
    metavar="REASON",
    help="Try the records again that were rejected for this reason, and no others; may be given several times.",
)
@click.pass_context
def run(context: click.Context, /, reasons: tuple[str, ...], **arguments: Any) -> None:
    """Run RECIPE. Steps that are done and unchanged are reused; a stopped run continues.

    Every answered model call is stored at once and never made again. Ctrl-C stops cleanly.
    """
    from wmsforge.cli.running import execute

    planned = load_plan(context, **arguments)
    retry = None
    if reasons:
        from wmsforge.cli.retrying import with_retry

        planned, retry = with_retry(planned, reasons, arguments["until"], arguments["restart"])
    if all(step.reused for step in planned.plan.steps.values()):
        count = len(planned.plan.steps)
        click.echo(f"Nothing to run: all {count} steps of {planned.plan.recipe.path} are done and unchanged.", err=True)
        _sum_up(planned, {id: step.manifest for id, step in planned.plan.steps.items() if step.manifest}, {})
        return
    steps = execute(context, planned, retry)
    _sum_up(planned, {id: step.manifest for id, step in steps.items() if step.manifest}, steps)


def _sum_up(planned: Planned, manifests: dict[str, Manifest], steps: dict[str, StepRun]) -> None:
    from wmsforge.cli.running import cost_so_far
    from wmsforge.cli.summary import summary

    root = planned.workspace.root
    options = () if root == DEFAULT else ("--workspace", str(root))
    out = console()
    for line in summary(planned.plan, manifests, options, cost_so_far(planned, steps)):
        out.print(clean(line), soft_wrap=True)
