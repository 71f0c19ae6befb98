"""Gathers calls that come together into batches, and runs one batch after another in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

LINGER_S = 0.05
"""Pause without a new call after which a batch that is not full starts: the callers of the batch before come back
within it, a single caller does not notice it."""


@dataclass
class Job(Generic[A, B]):
    """One call."""

    asked: A
    answer: asyncio.Future[B | Exception]
    given_up: bool = field(default=False)
    """Set when its caller was cancelled; the thread looks at it between tokens."""


class Batcher(Generic[A, B]):
    """Runs `run` on at most `size` calls at once.

    Args:
        run: Answers a batch, in its order, with an exception in the place of a call that failed; called in the
            thread. What it raises, all calls of the batch raise. It should stop soon when every job is given up.
    """

    def __init__(self, run: Callable[[Sequence[Job[A, B]]], Sequence[B | Exception]], size: int, name: str) -> None:
        self._run = run
        self._size = size
        self._waiting: list[Job[A, B]] = []
        self._working: Sequence[Job[A, B]] = ()
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        """Where the batches run; a model's loading belongs there too."""

    async def ask(self, asked: A) -> B:
        """Return the answer to one call, which waits for a place in a batch."""
        job: Job[A, B] = Job(asked, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._came.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            answer = await job.answer
        except asyncio.CancelledError:
            job.given_up = True
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        """Give up what is under way, and wait for the thread to notice."""
        for job in (*self._waiting, *self._working):
            job.given_up = True
            job.answer.cancel()
        self._waiting.clear()
        await asyncio.to_thread(self.thread.shutdown, wait=True, cancel_futures=True)
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while await self._gather():
            batch = self._working = [job for job in self._waiting if not job.given_up][: self._size]
            self._waiting = [job for job in self._waiting if job not in batch and not job.given_up]
            answers: Sequence[B | Exception]
            try:
                answers = await asyncio.get_running_loop().run_in_executor(self.thread, self._run, batch)
            except Exception as error:
                answers = [error] * len(batch)
            except asyncio.CancelledError:
                for job in batch:
                    job.given_up = True
                    job.answer.cancel()
                raise
            for job, answer in zip(batch, answers, strict=True):
                if not job.answer.done():
                    job.answer.set_result(answer)
            self._working = ()

    async def _gather(self) -> bool:
        """Wait until a batch is full or no more calls come. Return whether anyone waits."""
        while 0 < len(self._waiting) < self._size:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), LINGER_S)
            except TimeoutError:
                break
        return any(not job.given_up for job in self._waiting)
