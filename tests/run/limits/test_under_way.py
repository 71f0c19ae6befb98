"""UnderWay: a run that stops lets the calls end that are paid for, and begins no other."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run_in_virtual_time

from wmsforge.errors import ParkedError
from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.under_way import UnderWay


def test_whoever_parks_waits_for_the_calls_of_others_and_no_new_one_begins() -> None:
    async def main() -> tuple[float, list[str]]:
        under_way = UnderWay()
        ended: list[str] = []

        async def call(name: str, seconds: float) -> None:
            await under_way.enter()
            await asyncio.sleep(seconds)
            ended.append(name)
            under_way.leave()

        calls = [asyncio.create_task(call("short", 2)), asyncio.create_task(call("long", 9))]
        await asyncio.sleep(1)
        parked = asyncio.create_task(under_way.stop(ParkedError("the day is used up")))
        await asyncio.sleep(0)
        late = asyncio.create_task(call("late", 1))
        for task in (parked, late):
            with pytest.raises(ParkedError, match="the day is used up"):
                await task
        await asyncio.gather(*calls)
        return now_s(), ended

    assert run_in_virtual_time(main()) == (9, ["short", "long"])


def test_with_nothing_under_way_it_raises_at_once_and_the_first_reason_stays() -> None:
    async def main() -> None:
        under_way = UnderWay()
        for reason in ("first", "second"):
            with pytest.raises(ParkedError, match="first"):
                await under_way.stop(ParkedError(reason))

    run_in_virtual_time(main())
