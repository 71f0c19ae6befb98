"""Runs a question generator: several tasks at once, their questions written task by task.

The order of the questions does not depend on who is faster. What the first unfinished task asks is
written as it comes, so the answers step can start at once; later tasks wait their turn in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wmsforge.errors import RecordError, StepError
from wmsforge.recipe.model import calls_at_once
from wmsforge.records import Question
from wmsforge.run.chat import ASKED
from wmsforge.run.step_run import StepRun
from wmsforge.run.tasks import first_error_only
from wmsforge.steps.question_generator import QuestionGenerator

TASKS_PER_PLACE = 3
"""Tasks at work for each call that the model takes at once: some wait to try again, some have just been answered."""
WITHOUT_MODEL = 64
"""Tasks at work where no model says how many calls it takes."""
AHEAD_PER_TASK = 16
"""Tasks that may be done before their turn, for each at work; bounds memory."""
QUESTIONS_AHEAD = 64
"""Questions of one task that may wait; a task further ahead pauses."""
BLOCK = 64
"""Tasks taken from the generator at a time, in a thread, since it may read documents for them."""


@dataclass
class _Failed:
    """How a task ended that gave no more questions."""

    error: RecordError
    asked: list[bytes]


@dataclass
class _Lane:
    """What one task asks, on its way to the store."""

    name: str
    found: asyncio.Queue[Question | _Failed | None]


async def run_questions(run: StepRun, limit: int | None) -> None:
    """Ask the questions of every task, at most `limit` in all."""
    await run.inputs_finished()
    generator: QuestionGenerator = await run.open(run.step.uses[0])
    at_work = TASKS_PER_PLACE * calls_at_once(run.step.uses[0], run.resources.recipe.models) or WITHOUT_MODEL
    await _Asking(run, generator, at_work, limit).ask()


class _Asking:
    def __init__(self, run: StepRun, generator: QuestionGenerator, at_work: int, limit: int | None) -> None:
        self._run = run
        self._generator = generator
        self._limit = limit
        self._hands = asyncio.Semaphore(at_work)
        self._lanes: asyncio.Queue[_Lane | None] = asyncio.Queue(maxsize=at_work * AHEAD_PER_TASK)
        self._to_come = 0
        """Tasks started whose questions are not all written."""
        self._written = asyncio.Event()
        self._open: list[_Lane] = []
        """Tasks at work."""
        self._over = False
        """Whether a preview has all it wants."""

    async def ask(self) -> None:
        counts = self._run.counts
        async with first_error_only(), asyncio.TaskGroup() as group:
            starting = group.create_task(self._start_all(group))
            while (lane := await self._lanes.get()) is not None and not await self._write(lane):
                pass
            if self._is_full():
                counts.ok += self._to_come
                starting.cancel()
                self._let_go()

    def _let_go(self) -> None:
        """End the tasks that are at work: what else they would ask is not needed.

        A call under way is paid for, so it ends first and is stored for the full run.
        """
        self._over = True
        for lane in self._open:
            while not lane.found.empty():
                lane.found.get_nowait()  # else a task would wait for room that no one makes

    async def _start_all(self, group: asyncio.TaskGroup) -> None:
        async for name, task in _in_blocks(iter(self._generator.tasks(self._run.read()))):
            await self._hands.acquire()
            # A preview starts no task that it has no room for: what that asks would be paid and thrown away.
            while self._limit is not None and self._run.counts.out + self._to_come >= self._limit:
                self._written.clear()
                await self._written.wait()
            self._to_come += 1
            self._run.counts.read += 1
            # Nor does one ask much before its turn in a preview: the turn may not come.
            lane = _Lane(name, asyncio.Queue(maxsize=QUESTIONS_AHEAD if self._limit is None else 1))
            self._open.append(lane)
            group.create_task(self._ask_one(task, lane))
            await self._lanes.put(lane)
        await self._lanes.put(None)

    async def _ask_one(self, task: Any, lane: _Lane) -> None:
        asked: list[bytes] = []
        used = 0
        ASKED.set(asked)
        try:
            async for question in self._generator.generate(task):
                if self._over:
                    break
                self._run.offered += 1
                used = len(asked)
                await lane.found.put(question)
                if self._over:
                    break
        except RecordError as error:
            await self._end(lane, _Failed(error, asked))
        else:
            await self._end(lane, None)
        finally:
            self._open.remove(lane)
            self._run.note(lane.name, asked[:used] if self._over else asked)
            self._hands.release()

    async def _end(self, lane: _Lane, how: _Failed | None) -> None:
        if not self._over:  # else no one reads the lane any more
            await lane.found.put(how)

    async def _write(self, lane: _Lane) -> bool:
        """Write what a task asks. Return whether a preview is full."""
        run = self._run
        while True:
            found = await lane.found.get()
            if isinstance(found, Question):
                run.keep(found)
                if self._is_full():
                    return True
                continue
            self._to_come -= 1
            if found is None:
                run.counts.ok += 1
            else:
                await self._fail(lane.name, found)
            self._written.set()
            return False

    async def _fail(self, name: str, failed: _Failed) -> None:
        try:
            self._run.fail(name, failed.error, asked=failed.asked)
        except StepError as error:
            await self._run.resources.stop(error)

    def _is_full(self) -> bool:
        return self._limit is not None and self._run.counts.out >= self._limit


async def _in_blocks(tasks: Iterator[tuple[str, Any]]) -> AsyncIterator[tuple[str, Any]]:
    while block := await asyncio.to_thread(list, islice(tasks, BLOCK)):
        for task in block:
            yield task
