"""Runs a plan: every step as soon as what it needs is there, record steps while their input grows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wmsforge.errors import ParkedError, RecordError, RetryableError, StepError, WmsforgeError
from wmsforge.plugins import PluginHost
from wmsforge.recipe.models_called import check_prices
from wmsforge.recipe.plan import Plan, PlannedStep
from wmsforge.recipe.retry import Retry
from wmsforge.run import artifacts
from wmsforge.run.answering import run_answers
from wmsforge.run.events import Events, Listener
from wmsforge.run.filtering import run_filters
from wmsforge.run.garbage import collecting_seldom
from wmsforge.run.loading import run_loader
from wmsforge.run.observers import watchers
from wmsforge.run.questioning import run_questions
from wmsforge.run.resources import Resources
from wmsforge.run.run_folder import describe_run, new_run_id
from wmsforge.run.step_run import StepRun
from wmsforge.run.tasks import first_error_only
from wmsforge.steps.exporter import Origin
from wmsforge.steps.server import Server
from wmsforge.store.ledger import Ledger
from wmsforge.store.manifest import Manifest
from wmsforge.store.workspace import Workspace


@dataclass
class Runner:
    """One execution of a plan.

    `steps` may be read at any time to show progress.
    """

    plan: Plan
    host: PluginHost
    workspace: Workspace
    listener: Listener | None = None
    steps: dict[str, StepRun] = field(default_factory=dict)
    retry: Retry | None = None
    """The rejected records to try again; the plan has their steps run."""
    run_id: str = ""
    _servers: dict[str, Server] = field(default_factory=dict)

    async def execute(self) -> Mapping[str, StepRun]:
        """Run all steps and return them.

        Raises:
            RecipeError: If a budget in USD cannot be kept; nothing was run.
            StepError: If a step failed; every finished store stays, and so do all stored calls.
            ParkedError: If a quota or the budget is used up; see `UnderWay` for the calls then in flight.
            WorkspaceBusyError: If another process runs in the workspace.
        """
        name = self.plan.recipe.name
        check_prices(self.plan)
        with self.workspace.locked(f"wmsforge run {self.plan.recipe.path}"), collecting_seldom():
            self.run_id = new_run_id(self.workspace, name)
            folder = self.workspace.run_folder(name, self.run_id)
            ledger = Ledger(self.workspace.ledger)
            ledger.close_open()
            if self.retry is not None:
                self._forget(self.retry, ledger)
            describe_run(folder, self.plan, self.host, self.retry)
            events = Events(folder / "events.jsonl", self.listener)
            models = self.workspace.models_folder(name)
            resources = Resources(
                self.plan.recipe,
                self.host,
                ledger,
                events,
                self.run_id,
                models,
                self.retry.stays_failed if self.retry else None,
            )
            ending: tuple[str, dict[str, Any]] = ("run_finished", {})
            try:
                events.emit("run_started", recipe=self.plan.recipe.path, run=self.run_id, limit=self.plan.limit)
                await self._run_steps(resources, events)
            except BaseException as error:
                for step in self.steps.values():
                    step.abandon()
                ending = _ending(error)
                raise
            finally:
                await self._stop_servers(events)
                await resources.close()
                events.emit(ending[0], **ending[1])
                ledger.close()
                events.close()
        return self.steps

    def _forget(self, retry: Retry, ledger: Ledger) -> None:
        """Let the calls of rejected records be made again.

        Their steps are no longer done then: whatever stops this run, the next one goes on with them.
        """
        ledger.forget(retry.calls)
        for step in retry.steps:
            Manifest.remove(self.plan.steps[step].folder)

    async def _run_steps(self, resources: Resources, events: Events) -> None:
        for planned in self.plan.steps.values():
            inputs = [self.steps[source] for source in planned.step.sources]
            self.steps[planned.step.id] = StepRun(planned, inputs, resources, self.run_id, self.host.hook)
        for step in self.steps.values():
            step.needs = [self.steps[need] for need in dict.fromkeys(step.step.needs())]
            if step.planned.reused:
                step.reuse()
                events.emit("step_reused", step=step.id, records=step.counts.out)
        async with first_error_only(), asyncio.TaskGroup() as group:
            for step in self.steps.values():
                group.create_task(self._run_step(step, resources, events), name=step.id)
        if self._servers:
            events.emit("serving", endpoints={id: self._url(id) for id in self._servers})
            await asyncio.Event().wait()  # until Ctrl-C or SIGTERM cancels

    async def _run_step(self, step: StepRun, resources: Resources, events: Events) -> None:
        if step.planned.reused:
            if step.step.kind == "retriever" and self._is_searched(step.id):
                with _naming(step):
                    await artifacts.load_retriever(step)
            step.ready.set()
            return
        for need in dict.fromkeys(step.step.needs()):
            if need not in step.step.sources:
                await self.steps[need].ready.wait()
        if step.step.produces not in ("Document", "Question", "Answer"):
            await step.inputs_finished()
        component = step.component
        step.start()
        events.emit("step_started", step=step.id, component=component, reason=step.planned.reason)
        if tell := watchers(self.host.hook, "step_started", events):
            tell(step=step.id, component=component)
        with _naming(step):
            await self._work(step)
        step.ready.set()
        assert step.manifest is not None  # _work finished the step
        facts = step.manifest.model_dump(mode="json", include={"counts", "calls", "paid", "seconds", "artifact"})
        events.emit("step_finished", step=step.id, **facts)
        if tell := watchers(self.host.hook, "step_finished", events):
            tell(step=step.id, manifest=step.manifest.model_dump(mode="json", by_alias=True))

    async def _work(self, step: StepRun) -> None:
        kind = step.step.kind
        if kind == "loader":
            await run_loader(step)
        elif kind == "question_generator":
            await run_questions(step, self.plan.limit)
        elif kind == "answer_generator":
            await run_answers(step)
        elif kind == "filter":
            await run_filters(step)
        if step.store is not None:
            step.finish()
            return
        artifact = await self._make_artifact(step)
        step.counts.read = step.counts.ok = step.inputs_written()
        step.finish(artifact, artifacts.artifact_digest(artifact, step))

    async def _make_artifact(self, step: StepRun) -> Any:
        kind = step.step.kind
        if kind == "retriever":
            return await artifacts.run_retriever(step)
        if kind == "exporter":
            return await artifacts.run_exporter(step, self._origin(step.planned))
        if kind == "trainer":
            return await artifacts.run_trainer(step)
        if kind == "evaluator":
            return await artifacts.run_evaluator(step)
        self._servers[step.id], artifact = await artifacts.run_server(step)
        return artifact

    def _origin(self, planned: PlannedStep) -> Origin:
        return Origin(recipe=self.plan.recipe.name, fingerprint=planned.fingerprint, run=self.run_id)

    def _is_searched(self, id: str) -> bool:
        """Tell whether a step that runs searches this index."""
        return any(id in planned.step.needs() for planned in self.plan.steps.values() if not planned.reused)

    def _url(self, id: str) -> str:
        manifest = self.steps[id].manifest
        return manifest.artifact.url if manifest and manifest.artifact else ""

    async def _stop_servers(self, events: Events) -> None:
        """Stop every server, the last started first; one that fails to stop does not keep the others up."""
        for id, server in reversed(self._servers.items()):
            try:
                await server.stop()
            except Exception as error:  # a plugin's stop may raise anything; the rest must still be stopped
                events.warn(id, f"the server may still run, stopping it failed: {error!r}")
        self._servers.clear()


def _ending(error: BaseException) -> tuple[str, dict[str, Any]]:
    """Return the last event of a run that did not finish."""
    said = str(error) if isinstance(error, WmsforgeError) else repr(error)
    if isinstance(error, ParkedError):
        return "run_parked", {"error": said, "reset_at": error.reset_at}
    return ("run_stopped" if isinstance(error, (KeyboardInterrupt, asyncio.CancelledError)) else "run_failed"), {
        "error": said
    }


@contextmanager
def _naming(step: StepRun) -> Iterator[None]:
    """Turn an error that does not say where it comes from into one that names the step and its component."""
    try:
        yield
    except (RecordError, RetryableError) as error:
        raise StepError(
            f"Step {step.id!r} ({step.component}) cannot go on: {error}\n"
            f"What it stored stays. Mend this and run the same command again."
        ) from error
    except WmsforgeError:
        raise
    except OSError as error:
        raise StepError(
            f"Step {step.id!r} ({step.component}) cannot read or write a file: {error}\n"
            f"Check the path, its permissions and the disk, then run the same command again; finished work is kept."
        ) from error
    except Exception as error:
        raise StepError(
            f"Step {step.id!r} ({step.component}) broke: {type(error).__name__}: {error}\n"
            f"This is a fault of the component. The traceback: the same command with wmsforge --debug"
        ) from error
