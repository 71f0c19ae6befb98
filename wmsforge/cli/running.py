"""Running a plan for its user: progress while it goes on, and what to do when it does not go to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wmsforge.cli.loading import Planned
from wmsforge.cli.parking import command, parked
from wmsforge.cli.terminal import console
from wmsforge.errors import ParkedError, WmsforgeError

if TYPE_CHECKING:
    from wmsforge.cli.progress import Progress
    from wmsforge.recipe.retry import Retry
    from wmsforge.run.step_run import StepRun


def execute(context: click.Context, planned: Planned, retry: Retry | None = None) -> dict[str, StepRun]:
    """Run a plan to its end and return its steps; a signal that stops it ends the process with its exit code.

    Raises:
        WmsforgeError: What `Runner.execute` raises; for a ParkedError with the command that goes on.
    """
    from wmsforge.cli.driver import drive
    from wmsforge.run.runner import Runner

    steps: dict[str, StepRun] = {}
    progress = _progress(planned, steps)
    try:
        signal = drive(Runner(planned.plan, planned.host, planned.workspace, progress, steps, retry), progress)
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
    return steps


def cost_so_far(planned: Planned, steps: dict[str, StepRun]) -> str:
    """Return what the recipe cost so far and what of it this run did, empty when it was free."""
    from wmsforge.cli.money import by_model, cost, cost_of_run, paid_by_step

    everything = cost(by_model(paid_by_step(planned.workspace, planned.plan.recipe.name)))
    if not everything:
        return ""
    now = cost_of_run([step.resources.calls(id) for id, step in steps.items()])
    return f"{everything}; of this run: {now.removeprefix('cost ') or 'nothing'}"


def _progress(planned: Planned, steps: dict[str, StepRun]) -> Progress:
    """Return a live table for a terminal, else plain lines."""
    from wmsforge.cli.progress import Progress

    if not console(stderr=True).is_interactive:
        return Progress(planned.plan, steps)
    from wmsforge.cli.live import LiveProgress

    return LiveProgress(planned.plan, steps)


def _say_cost(progress: Progress, planned: Planned, steps: dict[str, StepRun]) -> None:
    if steps and (told := cost_so_far(planned, steps)):  # without any it did not begin
        progress.say(told)
