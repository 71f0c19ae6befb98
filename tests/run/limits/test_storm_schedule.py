"""A storm in virtual time: the engine's wall time against the ideal schedule of the very same misbehaviour."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from ideal import Attempt, ideal_wall_s
from simulated_provider import Server, drive
from virtual_time import run_in_virtual_time

from wmsforge.errors import RetryableError
from wmsforge.reasons import MALFORMED_RESPONSE, RATE_LIMIT, SERVER_ERROR
from wmsforge.run.limits.clock import now_s

TIMEOUT_S = 5.0
QUICK_S = 0.02


class Storm(Server):
    """20 % of the tries get a 429 with a hint of 0.5 to 3 s, 5 % a 500, 2 % hang, 3 % are cut off on their way."""

    def __init__(self, calls: int, seed: int) -> None:
        super().__init__(seed=seed)
        self.plans: list[list[tuple[str, Attempt]]] = [self._plan() for _ in range(calls)]
        self._played = [0] * calls

    def _plan(self) -> list[tuple[str, Attempt]]:
        plan: list[tuple[str, Attempt]] = []
        while not plan or plan[-1][0]:
            drawn, latency = self.random.random(), self.random.uniform(0.3, 0.7)
            if drawn < 0.20:
                plan.append((RATE_LIMIT, Attempt(QUICK_S, self.random.uniform(0.5, 3))))
            elif drawn < 0.25:
                plan.append((SERVER_ERROR, Attempt(QUICK_S)))
            elif drawn < 0.27:
                plan.append(("hangs", Attempt(TIMEOUT_S)))
            elif drawn < 0.30:
                plan.append((MALFORMED_RESPONSE, Attempt(latency)))
            else:
                plan.append(("", Attempt(latency)))
        return plan

    async def answer(self, number: int, not_before: float) -> None:
        self.arrivals.append(now_s())
        self.early += now_s() < not_before - 1e-6
        reason, attempt = self.plans[number][self._played[number]]
        self._played[number] += 1
        if reason == "hangs":
            await asyncio.sleep(1e6)
        await asyncio.sleep(attempt.seconds)
        if reason:
            raise RetryableError(reason, after_s=attempt.pause_s or None)


@pytest.mark.parametrize("seed", range(3))
def test_the_wall_time_is_near_the_ideal_schedule(seed: int, tmp_path: Path) -> None:
    random.seed(seed)
    storm = Storm(2000, seed)
    seen = run_in_virtual_time(drive(storm, tmp_path, calls=2000, concurrency=64, timeout_s=TIMEOUT_S, max_attempts=20))
    plans = [[attempt for _, attempt in plan] for plan in storm.plans]
    assert (len(seen.latencies), seen.rejected, storm.early) == (2000, 0, 0)
    assert len(storm.arrivals) == sum(len(plan) for plan in plans)  # no try more than it took
    assert seen.latencies[int(0.95 * 2000)][0] <= 1.15 * ideal_wall_s(plans, concurrency=64)
    # The last few are those that failed most often; who does not know the future begins some of them late.
    assert seen.wall_s <= 1.3 * ideal_wall_s(plans, concurrency=64, longest_first=False)
