"""run_ordered: as many at once as told, results in the items' order, memory bounded."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from wmsforge.errors import StepError
from wmsforge.run.ordered import WINDOW_PER_WORKER, run_ordered


async def batches(count: int, size: int = 7) -> AsyncIterator[list[int]]:
    for start in range(0, count, size):
        yield list(range(start, min(start + size, count)))


async def test_results_come_in_the_order_of_the_items_whoever_is_faster() -> None:
    emitted: list[int] = []

    async def work(item: int) -> int:
        await asyncio.sleep(0.001 * ((item * 7) % 5))
        return item * 10

    await run_ordered(batches(100), work, lambda item, result: emitted.append(result), workers=8)
    assert emitted == [item * 10 for item in range(100)]


async def test_never_more_at_once_than_workers_and_all_of_them_are_used() -> None:
    now = most = 0

    async def work(item: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1

    await run_ordered(batches(60), work, lambda item, result: None, workers=5)
    assert most == 5


async def test_a_slow_first_item_does_not_let_results_pile_up_without_bound() -> None:
    started: list[int] = []
    release = asyncio.Event()

    async def work(item: int) -> None:
        started.append(item)
        if item == 0:
            await release.wait()

    task = asyncio.create_task(run_ordered(batches(10_000), work, lambda item, result: None, workers=2))
    await asyncio.sleep(0.1)
    assert len(started) <= 2 * WINDOW_PER_WORKER
    release.set()
    await task
    assert len(started) == 10_000


async def test_an_error_of_the_work_stops_everything_and_comes_out_bare() -> None:
    async def work(item: int) -> None:
        if item == 3:
            raise StepError("broken")

    with pytest.raises(StepError, match="broken"):
        await run_ordered(batches(50), work, lambda item, result: None, workers=4)
