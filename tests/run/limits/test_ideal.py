"""The ideal schedule: figures that can be worked out by hand, and bounds that hold for any."""

from __future__ import annotations

import random

import pytest
from ideal import Attempt, ideal_wall_s


def test_equal_calls_fill_the_places() -> None:
    assert ideal_wall_s([[Attempt(0.5)]] * 100, concurrency=10) == pytest.approx(5)
    assert ideal_wall_s([[Attempt(0.5)]] * 101, concurrency=10) == pytest.approx(5.5)
    assert ideal_wall_s([], concurrency=10) == 0


def test_a_place_is_free_while_a_call_waits_for_its_hint() -> None:
    turned_away = [Attempt(0, pause_s=3), Attempt(1)]
    assert ideal_wall_s([turned_away, [Attempt(1)], [Attempt(1)]], concurrency=1) == pytest.approx(4)


def test_a_hint_is_waited_for_even_with_nothing_else_to_do() -> None:
    assert ideal_wall_s([[Attempt(0.1, pause_s=2.5), Attempt(0.4)]], concurrency=64) == pytest.approx(3)


def test_the_longest_chain_begins_first() -> None:
    hangs = [Attempt(10), Attempt(1)]
    assert ideal_wall_s([[Attempt(1)]] * 10 + [hangs], concurrency=2) == pytest.approx(11)


def test_not_knowing_the_future_has_a_price() -> None:
    calls = [*[[Attempt(1)]] * 10, [Attempt(10), Attempt(1)]]
    assert ideal_wall_s(calls, concurrency=2, longest_first=False) == pytest.approx(16)
    early = [[Attempt(1, pause_s=2), Attempt(1)], *[[Attempt(1)]] * 9]
    assert ideal_wall_s(early, concurrency=1, longest_first=False) == pytest.approx(11)


def test_requests_a_minute_hold() -> None:
    assert ideal_wall_s([[Attempt(1)]] * 35, concurrency=100, requests_per_minute=10) == pytest.approx(181)


def test_it_is_never_better_than_what_no_one_can_beat_nor_worse_than_graham_allows() -> None:
    chance = random.Random(3)
    for _ in range(50):
        calls = []
        for _ in range(chance.randrange(1, 60)):
            failures = [Attempt(chance.random(), chance.random()) for _ in range(chance.randrange(3))]
            calls.append([*failures, Attempt(chance.random())])
        places = chance.randrange(1, 9)
        work = sum(attempt.seconds for tries in calls for attempt in tries) / places
        longest = max(sum(a.seconds + a.pause_s for a in tries[:-1]) + tries[-1].seconds for tries in calls)
        wall_s = ideal_wall_s(calls, concurrency=places)
        assert max(work, longest) - 1e-9 <= wall_s <= work + longest + 1e-9


def test_no_places_is_an_error() -> None:
    with pytest.raises(ValueError, match="concurrency must be at least 1, not 0"):
        ideal_wall_s([[Attempt(1)]], concurrency=0)
