"""Level as a semaphore: first come, first served, never more than it says, and no place is ever lost."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run_in_virtual_time

from wmsforge.run.limits.level import NO_ROUND, Level
from wmsforge.run.limits.search import START


@pytest.mark.parametrize("fixed", [True, False])
def test_never_more_in_flight_than_at_most_and_in_the_order_of_arrival(fixed: bool) -> None:
    started: list[int] = []
    most = 0

    async def main() -> None:
        level = Level(4, fixed=fixed)

        async def call(number: int) -> None:
            nonlocal most
            round = await level.acquire()
            started.append(number)
            most = max(most, level.in_flight)
            await asyncio.sleep(1 + number % 3)
            level.release(round, 1 + number % 3)

        await asyncio.gather(*(call(number) for number in range(50)))
        assert level.in_flight == 0

    run_in_virtual_time(main())
    assert started == list(range(50))
    assert most == 4


def test_calls_that_were_tried_before_go_first() -> None:
    async def main() -> list[str]:
        level = Level(1)
        held = await level.acquire()
        order: list[str] = []

        async def call(name: str, again: bool) -> None:
            round = await level.acquire(again=again)
            order.append(name)
            level.release(round, 1)

        names = (("new", False), ("tried", True), ("newer", False), ("tried too", True))
        calls = [asyncio.create_task(call(name, again)) for name, again in names]
        await asyncio.sleep(0)
        level.release(held, 1)
        await asyncio.gather(*calls)
        return order

    assert run_in_virtual_time(main()) == ["tried", "tried too", "new", "newer"]


def test_a_waiting_call_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    async def main() -> None:
        level = Level(1)
        held = await level.acquire()
        cancelled = asyncio.create_task(level.acquire())
        next_ = asyncio.create_task(level.acquire())
        await asyncio.sleep(0)
        cancelled.cancel()
        level.release(held, 1)
        level.release(await next_, 1)
        assert level.in_flight == 0

    run_in_virtual_time(main())


def test_a_call_cancelled_in_the_moment_it_got_its_place_gives_it_back() -> None:
    async def main() -> None:
        level = Level(1)
        held = await level.acquire()
        waiting = asyncio.create_task(level.acquire())
        await asyncio.sleep(0)
        level.release(held, 1)  # hands the place over
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert level.in_flight == 0
        assert await level.acquire() is not None

    run_in_virtual_time(main())


def test_a_fixed_level_stays_however_slow_the_answers() -> None:
    async def main() -> None:
        level = Level(64, fixed=True, changed=lambda *_: pytest.fail("changed"))
        for number in range(2000):
            round = await level.acquire()
            assert round == NO_ROUND
            level.release(round, 1.0 + number)
        assert level.now == 64

    run_in_virtual_time(main())


def test_calls_that_do_not_fill_the_level_do_not_change_it() -> None:
    async def main() -> None:
        level = Level(256, changed=lambda *_: pytest.fail("changed"))
        for number in range(2000):
            level.release(await level.acquire(), 1.0 + number % 7)
        assert level.now == START

    run_in_virtual_time(main())
