"""The level against servers that do not tell their limits: near the best fixed level, and no queue of our making.

Chance is seeded, so a figure is the same each time; over many seeds they leave room to their bounds.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from simulated_provider import Queueing, Seen, Server, Sharing, TurningAway, drive
from virtual_time import run_in_virtual_time

SEEDS = range(3)


def run(server: Server, folder: Path, **how: Any) -> Seen:
    seen = run_in_virtual_time(drive(server, folder, **how))
    assert seen.rejected == 0
    assert server.early == 0  # no call was made again before its hint
    return seen


@cache
def best_fixed(make: type[Queueing] | type[TurningAway], capacity: int, spread: float) -> float:
    """Return the throughput of the best fixed level, by a sweep."""
    found = []
    for factor in (0.8, 1, 1.25, 3):
        with TemporaryDirectory() as folder:
            server = make(seed=99, capacity=capacity, spread=spread)
            seen = run(server, Path(folder), calls=1500, concurrency=int(capacity * factor), fixed=True)
            found.append(seen.throughput(0.1, 0.9))
    return max(found)


@cache
def unloaded_p95_s(spread: float) -> float:
    with TemporaryDirectory() as folder:
        return run(Server(seed=98, spread=spread), Path(folder), calls=2000, concurrency=8, fixed=True).p95_s()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("make", "capacity", "calls", "spread"),
    [
        (Queueing, 40, 6000, 0.3),
        (Queueing, 40, 6000, 1.0),
        (Queueing, 5, 4000, 0.3),
        (Queueing, 150, 9000, 0.3),
        (Sharing, 40, 3000, 0.3),
    ],
)
def test_a_server_that_only_gets_slower(
    make: type[Queueing], capacity: int, calls: int, spread: float, seed: int, tmp_path: Path
) -> None:
    server = make(seed=seed, capacity=capacity, spread=spread)
    seen = run(server, tmp_path, calls=calls, concurrency=256)
    least = 0.8 if spread < 1 else 0.75  # with a heavy tail, over 10 seeds: 0.87 to 0.98
    assert seen.throughput(0.5, 0.95) >= least * best_fixed(make, capacity, spread)
    assert seen.p95_s(0.5, 0.95) < 2 * unloaded_p95_s(spread)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("capacity", "calls", "concurrency", "hints"),
    [(40, 4000, 256, True), (40, 4000, 256, False), (5, 1200, 64, True)],
)
def test_a_server_that_turns_away_what_is_too_much(
    capacity: int, calls: int, concurrency: int, hints: bool, seed: int, tmp_path: Path
) -> None:
    server = TurningAway(capacity=capacity, hints=hints, seed=seed)
    seen = run(server, tmp_path, calls=calls, concurrency=concurrency, max_attempts=6)
    assert seen.throughput(0.5, 0.95) >= 0.8 * best_fixed(TurningAway, capacity, 0.3)
    assert len(server.arrivals) < 1.25 * calls + 3 * concurrency  # the latter before the server first said no


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("concurrency", "calls"), [(64, 4000), (256, 10_000)])
def test_calls_turned_away_at_random_cost_no_speed(concurrency: int, calls: int, seed: int, tmp_path: Path) -> None:
    seen = run(Server(random_429=0.2, seed=seed), tmp_path, calls=calls, concurrency=concurrency)
    at_most = concurrency / (0.5 + 0.25 * 0.02)  # each answer, and the fourth of a refusal before it, takes a place
    assert seen.throughput(0.3, 0.95) >= 0.8 * at_most
    assert seen.throughput(0, 0.95) >= 0.75 * at_most  # from the first call on


@pytest.mark.parametrize("seed", SEEDS)
def test_both_at_once(seed: int, tmp_path: Path) -> None:
    seen = run(Queueing(capacity=40, random_429=0.2, seed=seed), tmp_path, calls=6000, concurrency=256)
    assert seen.throughput(0.5, 0.95) >= 0.8 * 80
    assert seen.p95_s(0.5, 0.95) < 2 * unloaded_p95_s(0.3)


@pytest.mark.parametrize(("concurrency", "calls"), [(256, 20_000), (64, 2000), (8, 400)])
@pytest.mark.parametrize("spread", [0.01, 0.3])
def test_a_server_without_a_limit_is_used_in_full_soon(
    concurrency: int, calls: int, spread: float, tmp_path: Path
) -> None:
    seen = run(Server(service_s=0.2, spread=spread), tmp_path, calls=calls, concurrency=concurrency)
    assert seen.latencies[-1 - concurrency][0] <= 1.1 * 0.2 * calls / concurrency


@pytest.mark.parametrize("seed", SEEDS)
def test_a_capacity_that_falls_and_comes_back_is_followed(seed: int, tmp_path: Path) -> None:
    server = Queueing(capacity=40, seed=seed)
    later = [(80, partial(server.change_capacity, 15)), (160, partial(server.change_capacity, 40))]
    seen = run(server, tmp_path, calls=14_000, concurrency=256, later=later)
    for begin, end, capacity in ((40, 80, 40), (100, 160, 15), (200, 220, 40)):
        answers = [latency for moment, latency in seen.latencies if begin <= moment < end]
        assert len(answers) / (end - begin) >= 0.8 * capacity / 0.5


def test_answers_that_become_longer_are_not_taken_for_a_queue(tmp_path: Path) -> None:
    server = Queueing(capacity=40)
    seen = run(server, tmp_path, calls=7000, concurrency=256, later=[(60, lambda: setattr(server, "service_s", 1.5))])
    answers = sum(1 for moment, _ in seen.latencies if 80 <= moment < 130)
    assert answers / 50 >= 0.8 * 40 / 1.5
