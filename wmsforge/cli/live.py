"""The live table of a run on a terminal: one row a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.constrain import Constrain
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wmsforge.cli.progress import Progress, items, share, tokens_per_second
from wmsforge.cli.terminal import amount, clean, clock

if TYPE_CHECKING:
    from wmsforge.run.step_run import StepRun

STYLES = {"running": "bold", "done": "green", "reused": "dim", "waiting": "dim", "stopped": "yellow"}
WIDE = 100
"""Columns of a terminal from which on components are shown too."""


class LiveProgress(Progress):
    """Shows all steps in a table that changes in place; warnings scroll by above it."""

    tick_s = 0.25

    def __init__(self, plan: Any, steps: Mapping[str, StepRun]) -> None:
        super().__init__(plan, steps)
        # Refreshed by `tick` and not by a thread of its own: the counts are then never read half changed.
        self._live = Live(console=self.console, auto_refresh=False, get_renderable=self._view)

    def begin(self, facts: Mapping[str, Any]) -> None:
        super().begin(facts)
        self._live.start(refresh=True)

    def step_changed(self, event: str, step: StepRun, facts: Mapping[str, Any]) -> None:
        self.tick()

    def level_changed(self, facts: Mapping[str, Any]) -> None:
        calls = amount(facts["calls_at_once"], "calls")
        self.levels[facts["model"]] = f"{facts['model']}: {calls} at once ({facts['why']})"
        self.tick()

    def tick(self) -> None:
        if self._live.is_started:
            self._live.refresh()

    def close(self) -> None:
        if self._live.is_started:
            self._live.stop()

    def _view(self) -> Group:
        """Return the table, and below it how many calls each model takes at once while that is not settled."""
        far = [f"{step}: {line}" for step, line in self.jobs.items() if self.steps[step].state == "running"]
        told = [*self.levels.values(), *far]
        lines = [Text(clean(line), style="dim", no_wrap=True, overflow="ellipsis") for line in told]
        return Group(self._table(), *lines)

    def _table(self) -> Constrain:
        wide = self.console.width >= WIDE
        table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), header_style="dim")
        for heading in ("step", "component") if wide else ("step",):
            table.add_column(heading, overflow="ellipsis", no_wrap=True, max_width=28)
        table.add_column("state", no_wrap=True)
        for heading in ("in", "out", "rejected", "calls", "stored", "rate", "time"):
            table.add_column(heading, justify="right", no_wrap=True)
        for planned in self.plan.steps.values():
            step = self.steps.get(planned.step.id)
            names = [planned.step.id, ", ".join(use.offer.name for use in planned.step.uses)]
            state = self._state(step) if step else "waiting"
            style = STYLES[state.split()[0]]
            table.add_row(*names[: 2 if wide else 1], state, *(self._figures(step) if step else ()), style=style)
        return Constrain(table, self.console.width - len("^C"))  # else its echo wraps and a line is left behind

    def _state(self, step: StepRun) -> str:
        if step.state == "failed":
            return "stopped"  # the run ended while it was at work; the error says whose fault it was
        return f"running {share(step):.0%}" if share(step) else step.state

    def _figures(self, step: StepRun) -> list[str]:
        return [] if step.state == "waiting" else [*_counts(step), *self._speed(step)]

    def _speed(self, step: StepRun) -> list[str]:
        if step.state == "reused":
            return ["", ""]
        seconds = self.seconds(step)
        tokens = tokens_per_second(step, seconds)
        rate = f"{tokens:,.0f} tok/s" if tokens else ""
        if not tokens and step.store is not None and step.counts.out and seconds:
            rate = f"{step.counts.out / seconds:,.0f} rows/s" if step.counts.out > seconds else ""
        return [rate, clock(seconds).replace(" ", "")]


def _counts(step: StepRun) -> list[str]:
    done, arrived = items(step)
    calls = list(step.resources.calls(step.id).values())
    calls_made, reused = sum(count.calls for count in calls), sum(count.reused for count in calls)
    read = f"{done:,}/{arrived:,}" if step.state == "running" and arrived > done else f"{arrived:,}"
    counts = [read, f"{step.counts.out:,}", f"{step.counts.rejected:,}"]
    if step.store is None:  # an artifact, made of records or of another artifact
        counts = [read if arrived else "", "", ""]
    return [*counts, f"{calls_made:,}" if calls else "", f"{reused:,}" if reused else ""]
