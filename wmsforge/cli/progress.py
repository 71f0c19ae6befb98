"""What a run says on stderr while it goes on: plain lines here, a live table on a terminal in live.py."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wmsforge.cli.money import cost_of_run
from wmsforge.cli.terminal import amount, clean, clock, console

if TYPE_CHECKING:
    from wmsforge.recipe.plan import Plan
    from wmsforge.run.step_run import StepRun

HEARTBEAT_S = 10.0
"""A step that runs longer says how far it is this often."""

LEVEL_S = 30.0
"""Changes of the calls made at once are told this often at most."""


class Progress:
    """Listens to the events of a run and prints them as lines.

    Args:
        steps: Filled by the runner; read here and never changed.
    """

    tick_s = 1.0
    """How often the driver calls `tick`."""

    def __init__(self, plan: Plan, steps: Mapping[str, StepRun]) -> None:
        self.plan = plan
        self.steps = steps
        self.console = console(stderr=True)
        self.serving = False
        """Whether all that is left is to serve until someone stops it."""
        self.levels: dict[str, str] = {}
        """Model -> how many of its calls are made at once now, and why not more or fewer."""
        self.jobs: dict[str, str] = {}
        """Step -> how far its job in an environment is."""
        self._started: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self, event: str, facts: dict[str, Any]) -> None:
        """Take one event of `wmsforge.run.events`."""
        if event == "step_started":
            self._started[facts["step"]] = self._said[facts["step"]] = time.monotonic()
        if event == "warning":
            self.say(f"warning: {facts['step']}: {facts['message']}", "yellow")
        elif event == "note":
            self.say(f"{facts['step']}: {facts['text']}")
        elif event == "progress":
            self.job_moved(facts)
        elif event == "level":
            self.level_changed(facts)
        elif event == "serving":
            self.serving = True
            for step, url in facts["endpoints"].items():
                self.say(f"{step} is at {url}")
            self.say("Ctrl-C stops it." if len(facts["endpoints"]) == 1 else "Ctrl-C stops them.")
        elif event == "run_started":
            self.begin(facts)
        elif event in ("step_started", "step_reused", "step_finished"):
            self.step_changed(event, self.steps[facts["step"]], facts)

    def say(self, line: str, style: str = "") -> None:
        """Print one line."""
        self.console.print(clean(line), style=style, soft_wrap=True)

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Say that the run has begun: the workspace is ours and the plan is known."""
        preview = f", a preview of {amount(facts['limit'], 'questions')}" if facts["limit"] else ""
        self.say(f"run {facts['run']} of {facts['recipe']}{preview}")

    def step_changed(self, event: str, step: StepRun, facts: Mapping[str, Any]) -> None:
        """Say that a step began, is reused or is done."""
        if event == "step_reused":
            self.say(f"{step.id} reused{f': {made(step)}' if made(step) else ''}")
        elif event == "step_started":
            self.say(f"{step.id} started ({facts['component']}): {facts['reason']}")
        else:
            self.say(f"{step.id} done: {', '.join(figures(step, self.seconds(step)))}")

    def level_changed(self, facts: Mapping[str, Any]) -> None:
        """Say that more or fewer calls of a model are made at once; often changed, so now and then is enough."""
        model, moment = facts["model"], time.monotonic()
        self.levels[model] = f"{model}: {amount(facts['calls_at_once'], 'calls')} at once ({facts['why']})"
        if moment - self._said.get(f"level {model}", -LEVEL_S) >= LEVEL_S:
            self._said[f"level {model}"] = moment
            self.say(self.levels[model])

    def job_moved(self, facts: Mapping[str, Any]) -> None:
        """Take in how far a step's job is; `tick` says it."""
        told = ", ".join(f"{name} {_short(value)}" for name, value in facts["facts"].items())
        far = f"{facts['done']:,} of {facts['total']:,} {facts['unit']}"
        self.jobs[facts["step"]] = f"{far}, {told}" if told else far

    def tick(self) -> None:
        """Say how far long steps are."""
        moment = time.monotonic()
        for step in self.steps.values():
            if step.state == "running" and moment - self._said[step.id] >= HEARTBEAT_S:
                self._said[step.id] = moment
                far = [self.jobs[step.id], clock(self.seconds(step))] if step.id in self.jobs else None
                self.say(f"{step.id} running: {', '.join(far or figures(step, self.seconds(step)))}")

    def seconds(self, step: StepRun) -> float:
        """Return how long a step took, or has taken so far."""
        if step.manifest is not None:
            return step.manifest.seconds
        return time.monotonic() - self._started[step.id] if step.id in self._started else 0.0

    def close(self) -> None:
        """Leave the terminal as it was."""


def _short(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def figures(step: StepRun, seconds: float) -> list[str]:
    """Return what a step did so far: `10,000 in`, `9,801 out`, `199 rejected`, `412.0 s`, `8.1 M tokens`, its cost."""
    done, arrived = items(step)
    parts = [f"{done:,} of {arrived:,} in" if step.state == "running" and arrived > done else f"{arrived:,} in"]
    if step.store is not None:
        parts += [f"{step.counts.out:,} out", f"{step.counts.rejected:,} rejected"]
    else:  # an artifact, made of records or of another artifact
        parts = [parts[0] if arrived else "", made(step)]
    parts.append(f"{seconds:,.1f} s")
    models = step.resources.calls(step.id)
    calls = models.values()
    tokens = sum(count.prompt_tokens + count.completion_tokens + count.thought_tokens for count in calls)
    reused = sum(count.reused for count in calls)
    parts += [amount(tokens, "tokens")] if tokens else []
    parts += [f"{amount(reused, 'calls')} reused"] if reused else []
    return [part for part in [*parts, cost_of_run([models])] if part]


def items(step: StepRun) -> tuple[int, int]:
    """Return how many items of a step are done and how many have arrived.

    A step that follows another reads ahead, so what it read says less than what it has judged. A
    step that makes an artifact takes its items all together.
    """
    if step.store is None:
        return step.inputs_written(), step.inputs_written()
    if step.step.kind in ("loader", "question_generator") or step.manifest is not None:
        return step.counts.ok + step.counts.failed, step.counts.read
    return step.counts.ok + step.counts.failed, step.inputs_written()


def share(step: StepRun) -> float:
    """Return which part of its items a running step has done, 0 while no one knows how many there are."""
    known = step.step.kind in ("answer_generator", "filter") and all(source.manifest for source in step.inputs)
    done, arrived = items(step)
    return done / arrived if known and arrived and step.state == "running" else 0.0


def made(step: StepRun) -> str:
    """Return what a finished step made: `9,801 records`, a path with its rows, an address."""
    if step.store is not None:
        return amount(step.counts.out, "records")
    artifact = step.manifest.artifact if step.manifest else None
    if artifact is None:
        return ""
    rows = artifact.facts.get("rows")
    about = amount(rows, "rows") if isinstance(rows, int) else _indexed(artifact.facts)
    return (artifact.url or artifact.path) + (f" ({about})" if about else "")


def _indexed(facts: Mapping[str, Any]) -> str:
    """Return `9,801 passages, 12 encoded anew` for an index, one figure for each retriever of a fused one."""
    parts = [part for part in facts.get("retrievers", [facts]) if {"passages", "encoded"} <= part.keys()]
    if not parts:
        return ""
    encoded = " and ".join(f"{part['encoded']:,}" for part in parts)
    return f"{amount(parts[0]['passages'], 'passages')}, {encoded} encoded anew"


def tokens_per_second(step: StepRun, seconds: float) -> float:
    """Return the tokens that the step's models wrote a second, 0 when it calls none."""
    written = sum(count.completion_tokens + count.thought_tokens for count in step.resources.calls(step.id).values())
    return written / seconds if seconds else 0.0
