"""Breaker: when nothing gets through one call asks for all, and the user is told why the run is slow."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run_in_virtual_time

from wmsforge.run.limits.breaker import IN_A_ROW, THROTTLED_S, Breaker
from wmsforge.run.limits.clock import now_s


def test_a_dead_server_is_asked_by_one_call_at_a_time_at_growing_distances() -> None:
    told: list[tuple[float, str]] = []
    asked: list[float] = []

    async def call(breaker: Breaker) -> None:
        asks_for_all = await breaker.enter()
        asked.append(now_s())
        await asyncio.sleep(0.5)
        if now_s() < 30:
            breaker.failed("transport: refused", None)
        else:
            breaker.succeeded()
        if asks_for_all:
            breaker.leave()

    async def main() -> None:
        breaker = Breaker(lambda pause_s, why: told.append((pause_s, why)))
        await asyncio.gather(*(call(breaker) for _ in range(IN_A_ROW)))
        await asyncio.gather(*(call(breaker) for _ in range(50)))

    run_in_virtual_time(main())
    assert asked[: IN_A_ROW + 6] == pytest.approx([0] * IN_A_ROW + [1.5, 4, 8.5, 17, 33.5, 34])
    assert asked[IN_A_ROW + 5 :] == pytest.approx([34] * 45)  # the first success lets all pass
    assert told == [(seconds, "transport: refused") for seconds in (1, 2, 4, 8, 16)]


def test_the_servers_hint_is_the_pause() -> None:
    async def main() -> float:
        breaker = Breaker(lambda *_: None)
        for _ in range(IN_A_ROW):
            breaker.failed("overloaded", 33)
        assert await breaker.enter()
        return now_s()

    assert run_in_virtual_time(main()) == pytest.approx(33)


def test_a_success_between_failures_keeps_it_closed() -> None:
    async def main() -> bool:
        breaker = Breaker(lambda *_: pytest.fail("opened"))
        for _ in range(10):
            for _ in range(IN_A_ROW - 1):
                breaker.failed("server_error", None)
            breaker.succeeded()
        return await breaker.enter()

    assert run_in_virtual_time(main()) is False


def test_too_many_calls_in_one_moment_are_no_outage_but_nothing_else_for_a_while_is() -> None:
    told: list[float] = []

    async def main() -> None:
        breaker = Breaker(lambda pause_s, _: told.append(pause_s))
        for _ in range(5 * IN_A_ROW):
            breaker.failed("rate_limit", 3, throttled=True)
        assert told == []
        await asyncio.sleep(THROTTLED_S)
        breaker.failed("rate_limit", 3, throttled=True)
        assert told == [3]

    run_in_virtual_time(main())


def test_a_late_success_ends_the_pause_at_once() -> None:
    async def main() -> list[float]:
        breaker = Breaker(lambda *_: None)
        for _ in range(IN_A_ROW):
            breaker.failed("overloaded", 60)
        waiting = [asyncio.create_task(breaker.enter()) for _ in range(3)]
        await asyncio.sleep(5)
        breaker.succeeded()
        assert await asyncio.gather(*waiting) == [False] * 3
        return [now_s()]

    assert run_in_virtual_time(main()) == pytest.approx([5])


def test_when_the_asking_call_is_cancelled_another_one_asks() -> None:
    async def main() -> float:
        breaker = Breaker(lambda *_: None)
        for _ in range(IN_A_ROW):
            breaker.failed("overloaded", 10)
        first = asyncio.create_task(breaker.enter())
        await asyncio.sleep(1)
        second = asyncio.create_task(breaker.enter())
        await asyncio.sleep(1)
        first.cancel()
        assert await second
        return now_s()

    assert run_in_virtual_time(main()) == pytest.approx(10)
