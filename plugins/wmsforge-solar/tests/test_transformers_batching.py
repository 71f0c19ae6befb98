"""Batches: calls that come together share one, each gets its own outcome, a cancelled one is given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest
from wmsforge_solar.batching import Batcher, Job


class Doubler:
    """Doubles numbers; 13 fails alone, 99 fails the batch. Waits where it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.jobs: Sequence[Job[int, int]] = ()

    def __call__(self, jobs: Sequence[Job[int, int]]) -> list[int | Exception]:
        self.jobs = jobs
        self.batches.append([job.asked for job in jobs])
        self.go_on.wait(30)
        if any(job.asked == 99 for job in jobs):
            raise ValueError("the whole batch")
        return [ValueError("this one") if job.asked == 13 else 2 * job.asked for job in jobs]


async def test_calls_that_come_together_are_answered_together() -> None:
    run = Doubler()
    batches = Batcher(run, 4, "test")
    assert await asyncio.gather(*map(batches.ask, range(10))) == [2 * number for number in range(10)]
    assert [len(batch) for batch in run.batches] == [4, 4, 2]
    assert await batches.ask(21) == 42
    await batches.close()


async def test_one_fails_alone_or_all_of_a_batch_fail() -> None:
    batches = Batcher(Doubler(), 2, "test")
    outcomes = await asyncio.gather(*map(batches.ask, (13, 1, 99, 2, 3)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["this one", "2", "the whole batch", "the whole batch", "6"]
    await batches.close()


async def test_a_cancelled_call_is_given_up_in_the_thread_and_skipped_in_the_queue() -> None:
    run = Doubler()
    run.go_on.clear()
    batches = Batcher(run, 1, "test")
    first, second, third = (asyncio.create_task(batches.ask(number)) for number in (1, 2, 3))
    await asyncio.to_thread(wait_for_batch, run)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    assert run.jobs[0].given_up
    run.go_on.set()
    assert await third == 6
    assert run.batches == [[1], [3]]
    await batches.close()


async def test_closing_gives_up_what_is_under_way_and_what_waits() -> None:
    run = Doubler()
    run.go_on.clear()
    batches = Batcher(run, 1, "test")
    tasks = [asyncio.create_task(batches.ask(number)) for number in (1, 2)]
    await asyncio.to_thread(wait_for_batch, run)
    closing = asyncio.create_task(batches.close())
    await asyncio.wait(tasks)
    assert run.jobs[0].given_up
    run.go_on.set()
    await closing
    assert run.batches == [[1]]
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task


def wait_for_batch(run: Doubler) -> None:
    for _ in range(3000):
        if run.batches:
            return
        threading.Event().wait(0.01)
    raise TimeoutError("no batch began")
