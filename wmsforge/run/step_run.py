"""One step of a run: its store, its counts, what it reads from and what became of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from wmsforge.errors import RecordError, StepError
from wmsforge.files import file_digest
from wmsforge.recipe.model import ComponentUse
from wmsforge.recipe.plan import PlannedStep
from wmsforge.records import Answer, Artifact, Document, Question, Record
from wmsforge.run.events import now
from wmsforge.run.observers import watchers
from wmsforge.run.resources import Resources
from wmsforge.store.manifest import Counts, Manifest
from wmsforge.store.record_store import RecordStore, Rejection

State = Literal["waiting", "running", "done", "reused", "failed"]
RECORDS: dict[str, type[Record]] = {"Document": Document, "Question": Question, "Answer": Answer}

ENOUGH_TO_JUDGE = 50
"""Items after which too many rejects stop a step while it runs."""


class StepRun:
    """A step while it runs, and after."""

    def __init__(
        self, planned: PlannedStep, inputs: Sequence[StepRun], resources: Resources, run: str, hook: Any
    ) -> None:
        self.planned = planned
        self.step = planned.step
        self.id = planned.step.id
        self.inputs = inputs
        self.needs: Sequence[StepRun] = inputs
        """All steps whose output decides this one's: `inputs` and, say, a retriever that it searches."""
        self.resources = resources
        self.run = run
        self.state: State = "waiting"
        self.counts = Counts()
        self.manifest: Manifest | None = None
        self.finished = asyncio.Event()
        """Set when the manifest is written."""
        self.ready = asyncio.Event()
        """Set when what the step made can be used: for a retriever, when its index is open."""
        self.store: RecordStore[Any] | None = None
        self.work_folder: Path = planned.folder
        self.asked: dict[str, list[bytes]] | None = {} if planned.preview else None
        """Keys of the calls asked for each item, kept in a preview alone: memory must not grow with the rows."""
        self.offered = 0
        """Questions that tasks gave, those that a preview had no room for too."""
        self._watchers = watchers(hook, "record_rejected", resources.events)
        self._started = time.perf_counter()
        self._started_at = now()
        record = RECORDS.get(planned.step.produces)
        if record is not None:
            self.store = RecordStore(planned.folder, record)
            self.work_folder = planned.folder.parent.parent / "work" / self.id

    @property
    def component(self) -> str:
        """What does the step, for people: "filter/language,length"."""
        return f"{self.step.kind}/{','.join(use.offer.name for use in self.step.uses)}"

    # -- life

    def reuse(self) -> None:
        """Take the finished store of an earlier run."""
        manifest = self.planned.manifest
        assert manifest is not None  # a reused step has one
        if self.store is not None:
            self.store = RecordStore.complete(self.planned.folder, type_of(self), manifest)
        self.manifest, self.counts, self.state = manifest, manifest.counts, "reused"
        self.finished.set()

    def start(self) -> None:
        self.state = "running"
        self._started = time.perf_counter()
        self._started_at = now()
        if self.store is not None:
            self.store.start()
        else:
            self.planned.folder.mkdir(parents=True, exist_ok=True)
            (self.planned.folder / "manifest.json").unlink(missing_ok=True)

    def finish(self, artifact: Artifact | None = None, digest: str = "") -> Manifest:
        """Check that nothing was lost, write the manifest, let the followers end.

        Raises:
            StepError: If the counts do not add up, or a step that makes records kept none.
        """
        self.counts.check(self.id, self.store.written if self.store else self.counts.out)
        if self.store is not None and self.store.written == 0:
            raise StepError(self._kept_nothing())
        self.check_losses(at_end=True)
        manifest = Manifest(
            step=self.id,
            kind=self.step.kind,
            components=[
                {"name": use.offer.name, "plugin": use.offer.plugin, "version": use.offer.version}
                for use in self.step.uses
            ],
            fingerprint=self.planned.fingerprint,
            identity=dict(self.planned.identity),
            inputs={need.id: need.manifest.digest for need in self.needs if need.manifest},
            digest=self.store.digest() if self.store else digest,
            counts=self.counts,
            calls=self.resources.calls(self.id),
            paid=self.resources.paid(self.id),
            environments=self.resources.environments.used(self.id),
            artifact=artifact,
            also={path: file_digest(Path(path)) for path in artifact.also} if artifact else {},
            bytes=self.store.bytes if self.store else 0,
            run=self.run,
            started_at=self._started_at,
            seconds=round(time.perf_counter() - self._started, 3),
        )
        if self.store is not None:
            self.store.finish(manifest)
        else:
            manifest.write(self.planned.folder)
        self.manifest, self.state = manifest, "done"
        self.finished.set()
        return manifest

    def abandon(self) -> None:
        """Close what is open of a step that did not finish."""
        if self.state == "running":
            self.state = "failed"
            if self.store is not None:
                self.store.abandon()

    async def open(self, use: ComponentUse) -> Any:
        """Open a component of this step."""
        return await self.resources.open(use, self.id, self.work_folder)

    # -- records in

    async def follow(self) -> AsyncIterator[list[Any]]:
        """Yield the input records in batches as they come, the sources one after another."""
        for source in self.inputs:
            assert source.store is not None  # the recipe's wiring was checked
            async for batch in source.store.follow():
                self.counts.read += len(batch)
                yield batch

    def read(self) -> Iterator[Any]:
        """Yield the input records of finished steps."""
        return chain.from_iterable(source.store.read() for source in self.inputs if source.store)

    def inputs_written(self) -> int:
        """Return how many records the finished inputs hold."""
        return sum(source.store.written for source in self.inputs if source.store)

    async def inputs_finished(self) -> None:
        for source in self.inputs:
            await source.finished.wait()

    # -- records out

    def keep(self, record: Record) -> None:
        """Write a record."""
        assert self.store is not None  # only steps that make records keep any
        self.counts.made += 1
        self.counts.out += 1
        self.store.write(record)

    def drop(self, record: Record, reason: str, detail: str = "") -> None:
        """Put a record that was made among the rejected."""
        self.counts.made += 1
        self.counts.dropped += 1
        self._reject(Rejection(id=record.id, reason=reason, detail=detail, record=record.model_dump(mode="json")))

    def fail(self, item: str, error: RecordError, record: Record | None = None, asked: Sequence[bytes] = ()) -> None:
        """Put an item that gave no record among the rejected; `asked` are the keys of the calls made for it."""
        self.counts.failed += 1
        written = record.model_dump(mode="json") if record else None
        calls = [key.hex() for key in dict.fromkeys(asked)] or None
        self._reject(
            Rejection(id=item, reason=error.reason, detail=error.detail, record=written, raw=error.raw, calls=calls)
        )
        self.check_losses()

    def note(self, item: str, asked: Sequence[bytes]) -> None:
        """Remember what was asked for an item, when this is a preview."""
        if self.asked is not None:
            self.asked.setdefault(item, []).extend(asked)

    def _reject(self, rejection: Rejection) -> None:
        assert self.store is not None  # only steps that make records reject any
        self.counts.reject(rejection.reason)
        self.store.reject(rejection)
        if self._watchers is not None:
            self._watchers(step=self.id, record_id=rejection.id, reason=rejection.reason, detail=rejection.detail)

    def check_losses(self, at_end: bool = False) -> None:
        """Stop a generating step that rejects too much.

        Raises:
            StepError: If more than the recipe's `max_rejected_share` of its items failed.
        """
        judged = self.counts.ok + self.counts.failed
        limit = self.resources.recipe.max_rejected_share
        if self.step.kind not in ("question_generator", "answer_generator") or not judged:
            return
        if (at_end or judged >= ENOUGH_TO_JUDGE) and self.counts.failed > limit * judged:
            raise StepError(
                f"Step {self.id!r} stopped: {self.counts.failed:,} of {judged:,} items were rejected (limit "
                f"{limit:.0%}); {self._main_reasons()}.\n"
                f"See them: wmsforge peek {self.resources.recipe.path} {self.id} --rejected"
            )

    def _kept_nothing(self) -> str:
        read = self.counts.read or self.counts.ok + self.counts.failed
        why = self._main_reasons() if self.counts.reasons else "there was nothing to work on"
        return (
            f"Step {self.id!r} kept none of {read:,} items; {why}.\n"
            f"See them: wmsforge peek {self.resources.recipe.path} {self.id} --rejected"
        )

    def _main_reasons(self) -> str:
        top = sorted(self.counts.reasons.items(), key=lambda pair: -pair[1])[:3]
        return "main reasons " + ", ".join(f"{reason!r} ({count:,})" for reason, count in top)


def type_of(run: StepRun) -> type[Record]:
    return RECORDS[run.step.produces]
