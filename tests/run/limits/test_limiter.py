"""Limiter: one for all that share a quota, and the reasons why a run is slow are said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from virtual_time import run_in_virtual_time

from wmsforge.errors import ParkedError
from wmsforge.run.limits.breaker import IN_A_ROW
from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.limiter import Ended, Limiter
from wmsforge.run.limits.search import START
from wmsforge.steps.chat_model import Usage
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import Attempt, Caller, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


def limiter(ledger: Ledger, *options: dict[str, Any], warnings: list[str] | None = None) -> Limiter:
    warn = [].append if warnings is None else warnings.append
    made = [LimitOptions(**each) for each in options]
    return Limiter("expert (m)", "key-1", made, ledger, fixed=False, warn=warn, tell=lambda level, why: None)


async def call(limits: Limiter, seconds: float, began: list[float], tokens: int = 0) -> None:
    place = await limits.enter(tokens)
    began.append(now_s())
    await asyncio.sleep(seconds)
    limits.leave(place, Ended(seconds, heard=True))


def test_the_strictest_limit_of_all_models_that_share_the_quota_holds(ledger: Ledger) -> None:
    began: list[float] = []

    async def main() -> None:
        limits = limiter(ledger, {"concurrency": 2, "requests_per_minute": 100}, {"requests_per_minute": 6})
        await asyncio.gather(*(call(limits, 1, began) for _ in range(8)))

    run_in_virtual_time(main())
    assert [round(moment) for moment in began] == [0, 0, 1, 1, 2, 2, 60, 60]


def test_requests_that_a_killed_process_had_under_way_count(ledger: Ledger) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for number in range(5):
        ledger.begin(bytes(16), Caller("r", "s", "m", "key-1", f"run-{number}"), Usage(), None, at)
    began: list[float] = []

    async def main() -> None:
        limits = limiter(ledger, {"requests_per_minute": 5})
        assert limits.durable
        await call(limits, 1, began)

    run_in_virtual_time(main())
    assert began[0] > 55


def test_a_parked_day_gives_the_place_back(ledger: Ledger) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ledger.add(bytes(16), Caller("r", "s", "m", "key-1", "run"), Attempt("rate_limit"), at)

    async def main() -> None:
        limits = limiter(ledger, {"requests_per_day": 1, "day_starts_in": "UTC"})
        with pytest.raises(ParkedError):
            await limits.enter(0)
        assert limits.level.in_flight == 0

    run_in_virtual_time(main())


def test_a_refusal_shows_that_the_server_lives_and_an_outage_is_said_once_a_pause(ledger: Ledger) -> None:
    warnings: list[str] = []

    async def fail(limits: Limiter, reason: str, *, heard: bool = False) -> None:
        limits.leave(await limits.enter(0), Ended(reason="" if heard else reason, detail="refused", heard=heard))

    async def main() -> None:
        limits = limiter(ledger, {}, warnings=warnings)
        for _ in range(3):
            for _ in range(IN_A_ROW - 1):
                await fail(limits, "transport")
            await fail(limits, "refusal", heard=True)
        assert warnings == []
        for _ in range(IN_A_ROW + 2):
            await fail(limits, "transport")

    run_in_virtual_time(main())
    start = "nothing gets through to 'expert (m)' at the moment; all its calls wait"
    assert [line.split(start)[1].split(",")[0] for line in warnings] == [" 1 s", " 2 s", " 4 s"]
    assert warnings[0].endswith("then one tries again. It said: transport: refused")


def test_calls_that_waited_for_the_minute_do_not_change_the_level(ledger: Ledger) -> None:
    async def main() -> int:
        limits = limiter(ledger, {"concurrency": 256, "requests_per_minute": 60})
        began: list[float] = []
        await asyncio.gather(*(call(limits, 30, began) for _ in range(600)))
        return limits.level.now

    assert run_in_virtual_time(main()) <= 2 * START
