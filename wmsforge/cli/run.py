"""`wmsforge run`: plan, run, show progress, say what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.loading import Planned, load_plan, planning_options
from wmsforge.cli.parking import command, parked
from wmsforge.cli.terminal import clean, console
from wmsforge.errors import ParkedError, WmsforgeError
from wmsforge.store.workspace import DEFAULT

if TYPE_CHECKING:
    from wmsforge.cli.progress import Progress
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
    from wmsforge.cli.driver import drive
    from wmsforge.run.runner import Runner

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
    steps: dict[str, StepRun] = {}
    progress = _progress(planned, steps)
    try:
        runner = Runner(planned.plan, planned.host, planned.workspace, progress, steps, retry)
        signal = drive(runner, progress)
    except ParkedError as error:
        _say_cost(progress, planned, steps)
        raise parked(error, context) from error
    except WmsforgeError:
        _say_cost(progress, planned, steps)
        raise
    if signal is not None and not progress.serving:
        _say_cost(progress, planned, steps)
        progress.say(f"Nothing is lost: finished steps and answered model calls are in {planned.workspace.root}.")
        progress.say(f"Continue: {command(context)}")
        context.exit(128 + signal)
    _sum_up(planned, {id: step.manifest for id, step in steps.items() if step.manifest}, steps)


def _progress(planned: Planned, steps: dict[str, StepRun]) -> Progress:
    """Return a live table for a terminal, else plain lines."""
    from wmsforge.cli.progress import Progress

    if not console(stderr=True).is_interactive:
        return Progress(planned.plan, steps)
    from wmsforge.cli.live import LiveProgress

    return LiveProgress(planned.plan, steps)


def _sum_up(planned: Planned, manifests: dict[str, Manifest], steps: dict[str, StepRun]) -> None:
    from wmsforge.cli.summary import summary

    root = planned.workspace.root
    options = () if root == DEFAULT else ("--workspace", str(root))
    out = console()
    for line in summary(planned.plan, manifests, options, _cost(planned, steps)):
        out.print(clean(line), soft_wrap=True)


def _say_cost(progress: Progress, planned: Planned, steps: dict[str, StepRun]) -> None:
    if steps and (told := _cost(planned, steps)):  # without any it did not begin
        progress.say(told)


def _cost(planned: Planned, steps: dict[str, StepRun]) -> str:
    """Return what the recipe cost so far and what of it this run did, empty when it was free."""
    from wmsforge.cli.money import by_model, cost, cost_of_run, paid_by_step

    everything = cost(by_model(paid_by_step(planned.workspace, planned.plan.recipe.name)))
    if not everything:
        return ""
    now = cost_of_run([step.resources.calls(id) for id, step in steps.items()])
    return f"{everything}; of this run: {now.removeprefix('cost ') or 'nothing'}"
