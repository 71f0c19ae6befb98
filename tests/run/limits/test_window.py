"""Window and Pace: never more than the limit in any minute, and no slower than that."""

from __future__ import annotations

import asyncio

import pytest
from virtual_time import run_in_virtual_time

from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.pace import Pace
from wmsforge.run.limits.window import MINUTE_S, SLACK_S, Window


async def passed_at(
    pace: Pace, calls: int, *, tokens: int = 0, real: int | None = None, takes_s: float = 0.0
) -> list[float]:
    """Return when each of some calls was let through; each tells after `takes_s` what it really used."""
    moments: list[float] = []

    async def one() -> None:
        entry = await pace.enter(tokens)
        moments.append(now_s())
        await asyncio.sleep(takes_s)
        pace.settle(entry, tokens if real is None else real)

    await asyncio.gather(*(one() for _ in range(calls)))
    return moments


def most_in_a_minute(moments: list[float]) -> int:
    return max(sum(1 for other in moments if moment <= other < moment + MINUTE_S) for moment in moments)


@pytest.mark.parametrize("limit", [1, 15, 60])
def test_calls_never_exceed_the_limit_and_take_no_longer_than_it_asks(limit: int) -> None:
    async def main() -> list[float]:
        return await passed_at(Pace(limit, None, []), 5 * limit)

    moments = run_in_virtual_time(main())
    assert most_in_a_minute(moments) == limit
    assert 4 * MINUTE_S <= moments[-1] <= 4 * MINUTE_S * 1.01


def test_requests_of_an_earlier_process_count() -> None:
    async def main() -> list[float]:
        return await passed_at(Pace(3, None, [(50.0, 0), (20.0, 0)]), 3)

    # One second is taken off, since the ledger cuts its times to whole seconds.
    assert run_in_virtual_time(main()) == pytest.approx([0, 60 - 49 + SLACK_S, 60 - 19 + SLACK_S])


def test_a_call_that_used_less_than_it_might_have_makes_room_at_once() -> None:
    async def main(real: int) -> list[float]:
        return await passed_at(Pace(None, 1000, []), 4, tokens=500, real=real, takes_s=2)

    assert run_in_virtual_time(main(500)) == pytest.approx([0, 0, 60 + SLACK_S, 60 + SLACK_S])
    assert run_in_virtual_time(main(200)) == pytest.approx([0, 0, 2, 60 + SLACK_S])


def test_a_call_larger_than_the_whole_window_passes_when_it_is_empty() -> None:
    async def main() -> list[float]:
        return await passed_at(Pace(None, 100, []), 2, tokens=500)

    assert run_in_virtual_time(main()) == pytest.approx([0, 60 + SLACK_S])


def test_a_request_counts_from_the_moment_it_is_made_not_while_it_waits_for_tokens() -> None:
    async def main() -> list[float]:
        pace = Pace(2, 100, [])
        await pace.enter(100)
        await pace.enter(100)  # waits a minute for tokens
        await pace.enter(1)  # and this one: the second request is not a minute old
        return [now_s()]

    assert run_in_virtual_time(main()) == pytest.approx([2 * (60 + SLACK_S)])


def test_what_is_settled_after_its_minute_changes_nothing() -> None:
    async def main() -> float:
        window = Window(10)
        old = window.take(10)
        await asyncio.sleep(MINUTE_S + SLACK_S)
        assert window.wait_s(10) == 0
        window.take(10)
        window.settle(old, 0)
        return window.wait_s(1)

    assert run_in_virtual_time(main()) == pytest.approx(MINUTE_S + SLACK_S)
