"""Tries: how often and how long a call is tried, and what each try counts as, in virtual time."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from provider_bench import KEY, MOST, MOST_USD, PRICE, REAL, REAL_USD, Bench
from virtual_time import run_in_virtual_time

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError
from wmsforge.recipe.model import Budget
from wmsforge.run.limits.budget import Spent
from wmsforge.run.limits.clock import now_s
from wmsforge.run.tasks import first_error_only
from wmsforge.steps.chat_model import Usage
from wmsforge.store.manifest import Paid

T = TypeVar("T")


@pytest.fixture
def virtually(tmp_path: Path) -> Callable[..., Any]:
    """Run a test's coroutine on a bench in virtual time."""

    def run(main: Callable[[Bench], Coroutine[Any, Any, T]], **how: Any) -> tuple[T, Bench]:
        async def on_bench() -> tuple[T, Bench]:
            bench = Bench(tmp_path, **how)
            return await main(bench), bench

        return run_in_virtual_time(on_bench())

    return run


def slow_down(after_s: float | None = None, **more: Any) -> RetryableError:
    return RetryableError("rate_limit", "slow down", after_s=after_s, **more)


def test_no_try_before_the_hint_and_hardly_later(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        for _ in range(20):
            bench.asked.clear()
            await bench.call(slow_down(2.5), slow_down(30), REAL)
            first, second, third = bench.asked
            assert 2.5 <= second - first <= 2.75
            assert 30 <= third - second <= 30.25

    virtually(main)


def test_without_a_hint_the_pause_is_drawn_from_a_doubling_range(virtually: Callable[..., Any]) -> None:
    pauses: list[list[float]] = [[] for _ in range(5)]

    async def main(bench: Bench) -> None:
        for _ in range(60):
            bench.asked.clear()
            with pytest.raises(RecordError):
                await bench.call(RetryableError("malformed_response"))
            await bench.call(REAL)  # or the breaker would open
            for index, pause in enumerate(pauses):
                pause.append(bench.asked[index + 1] - bench.asked[index])

    virtually(main)
    for index, pause in enumerate(pauses):
        assert 0 <= min(pause) < 0.2 * 2**index
        assert 0.8 * 2**index < max(pause) <= 2**index


def test_tries_are_capped_and_the_last_reason_stands_with_its_raw(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(RecordError) as raised:
            await bench.call(slow_down(1, raw="429 A"), RetryableError("server_error", "broken", raw="500 B"))
        assert (raised.value.reason, raised.value.raw) == ("server_error", "500 B")
        assert raised.value.detail.startswith("3 attempts in ")
        assert raised.value.detail.endswith("the last with: broken")

    _, bench = virtually(main, max_attempts=3)
    assert [row[:2] for row in bench.attempts()] == [
        ("rate_limit", "429 A"),
        ("server_error", "500 B"),
        ("server_error", "500 B"),
    ]
    assert bench.tries.counts.failures == {"rate_limit": 1, "server_error": 2}
    assert bench.tries.counts.retries == 2


def test_total_time_is_capped_too(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(RecordError, match=r"rate_limit: 4 attempts in 9\d s failed"):
            await bench.call(slow_down(30))
        assert now_s() < 100  # the pause that would go beyond is not waited for

    virtually(main, max_attempts=100, max_retry_s=100)


def test_a_call_that_hangs_is_cut_off_and_tried_again(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> Usage:
        return await bench.call(1000.0, REAL, REAL)

    usage, bench = virtually(main, timeout_s=20)
    assert usage == REAL
    assert 20 <= bench.asked[1] <= 21
    assert bench.tries.counts.failures == {"timeout": 1}


def test_a_long_hint_parks_when_calls_under_way_have_ended_and_says_until_when(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        other = asyncio.create_task(bench.call(50.0, REAL, key=b"o" * 16))
        await asyncio.sleep(1)
        with pytest.raises(ParkedError, match=r"asks to wait 60 minutes, until .* UTC") as raised:
            await bench.call(slow_down(3600))
        assert raised.value.reset_at is not None
        assert now_s() == 50
        assert await other == REAL
        with pytest.raises(ParkedError, match="60 minutes"):
            await bench.call(REAL)
        assert len(bench.asked) == 2  # nothing was asked after that

    virtually(main)


@pytest.mark.parametrize(
    ("error", "reason"), [(StepError("no such model"), "bad_request"), (ParkedError("credit"), "quota")]
)
def test_errors_that_no_other_try_changes_pass_at_once(
    virtually: Callable[..., Any], error: Exception, reason: str
) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(type(error)) as raised:
            await bench.call(error)
        assert raised.value is error
        assert now_s() == 0

    _, bench = virtually(main, budget=Budget(usd=1))
    assert bench.attempts() == [(reason, None, 0, 0.0, 0)]
    assert bench.provider.limiter.level.in_flight == 0


def test_a_hint_that_is_no_time_backs_off_like_none(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        random.seed(1)
        await bench.call(slow_down(0.0), slow_down(-5), slow_down(0.01), slow_down(0.0), REAL)
        assert now_s() > 2, "four failures at once would be no time for a server to recover in"

    virtually(main)


@pytest.mark.parametrize("hint_s", [1e12, 1e300, math.inf])
def test_an_absurd_hint_parks_and_breaks_nothing(virtually: Callable[..., Any], hint_s: float) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(ParkedError, match="asks to wait"):
            await bench.call(slow_down(hint_s))

    virtually(main)


def test_what_never_reached_the_server_costs_and_counts_nothing(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        await bench.call(RetryableError("transport", "refused", reached=False), REAL)
        assert bench.tries.counts.failures == {"transport": 1}

    _, bench = virtually(main, budget=Budget(requests=1))
    assert [attempt[0] for attempt in bench.attempts()] == ["stored"]


def test_a_request_that_a_stop_cuts_off_is_counted_with_what_it_may_cost(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        call = asyncio.create_task(bench.call(50.0, REAL))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.wait([call])

    _, bench = virtually(main)
    cost = PRICE.cost_usd(MOST.model_dump())
    tokens = MOST.prompt_tokens + MOST.completion_tokens + MOST.thought_tokens
    assert bench.attempts() == [("interrupted", None, tokens, cost, 1)]


def test_a_refused_key_does_not_wait_for_calls_under_way(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        other = asyncio.create_task(bench.call(50.0, REAL, key=b"b" * 16))
        await asyncio.sleep(0)
        with pytest.raises(StepError, match="refused"):
            await bench.call(AuthenticationError("the key is refused (401)"))
        assert now_s() == 0
        other.cancel()

    virtually(main)


def test_a_refused_key_names_its_variable(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(StepError) as raised:
            await bench.call(AuthenticationError("the key is refused (401)"))
        assert str(raised.value) == (
            "the key is refused (401)\nCheck the variable WMS_KEY (option api_key): export WMS_KEY=..."
        )

    _, bench = virtually(main, secrets={"api_key": "${WMS_KEY}"})
    assert [attempt[0] for attempt in bench.attempts()] == ["authentication"]


def test_calls_under_way_end_and_are_stored_when_the_run_stops(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        other = asyncio.create_task(bench.call(50.0, REAL, key=b"b" * 16))
        await asyncio.sleep(0)
        with pytest.raises(StepError, match="no such model"):
            await bench.call(StepError("no such model"))
        assert now_s() == 50
        assert await other == REAL

    virtually(main)


def test_when_nothing_gets_through_the_run_stops_and_no_record_is_lost(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(StepError, match=r"'expert \(m\)': nothing got through for 1\d minutes") as raised:
            async with first_error_only(), asyncio.TaskGroup() as group:
                for number in range(40):
                    group.create_task(bench.call(RetryableError("transport", "refused"), key=bytes([number]) * 16))
        assert "transport: refused" in str(raised.value)
        assert 900 < now_s() < 1000

    _, bench = virtually(main, max_attempts=100)
    assert 0 < len(bench.asked) < 100  # one asked for all
    assert "nothing gets through to 'expert (m)'" in bench.warnings[0]
    assert len(bench.warnings) < 30


# -- what a try counts as


@pytest.mark.parametrize(
    ("error", "paid"),
    [
        (slow_down(0.1), Paid(calls=0, attempts=1)),
        (
            RetryableError("timeout"),
            Paid(attempts=1, uncertain_usd=MOST_USD, uncertain_tokens=1500),
        ),
        (
            RetryableError("empty", usage={"prompt_tokens": 400, "thought_tokens": 100}),
            Paid(attempts=1, prompt_tokens=400, thought_tokens=100, cost_usd=REAL_USD),
        ),
    ],
)
def test_a_failed_try_counts_nothing_what_it_may_have_cost_or_what_it_did(
    virtually: Callable[..., Any], error: Exception, paid: Paid
) -> None:
    async def main(bench: Bench) -> None:
        await bench.call(error, REAL)

    _, bench = virtually(main, budget=Budget(usd=1))
    answered = Paid(attempts=1, prompt_tokens=400, completion_tokens=100, cost_usd=REAL_USD)
    assert bench.paid() == paid + answered


def test_a_refusal_that_was_paid_for_is_stored_and_not_asked_again(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        with pytest.raises(RecordError, match="refusal"):
            await bench.call(RecordError("refusal", raw="no", usage=REAL.model_dump()))

    _, bench = virtually(main)
    assert bench.attempts() == [("stored", None, 500, REAL_USD, 0)]
    assert (bench.tries.counts.cost_usd, len(bench.asked)) == (REAL_USD, 1)


def test_a_budget_is_never_exceeded_and_parks_with_nothing_in_flight(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> list[Any]:
        calls = [bench.call(1.0 + n % 3, REAL, REAL, key=n.to_bytes(16, "big")) for n in range(400)]
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes, bench = virtually(main, budget=Budget(usd=0.1), concurrency=64)
    answered = sum(isinstance(each, Usage) for each in outcomes)
    assert all(isinstance(each, (Usage, ParkedError)) for each in outcomes)
    assert 0.1 - MOST_USD < answered * REAL_USD <= 0.1
    assert len(bench.asked) == answered  # none was cut off
    assert bench.paid().cost_usd == pytest.approx(answered * REAL_USD)


def test_a_killed_process_counts_what_was_in_flight_once(virtually: Callable[..., Any], tmp_path: Path) -> None:
    async def main(bench: Bench) -> None:
        killed = asyncio.create_task(bench.call(100.0, REAL))
        await asyncio.sleep(1)
        bench.ledger.close_open()  # what the next process does first
        bench.ledger.close_open()
        assert bench.paid() == Paid(attempts=1, uncertain_usd=MOST_USD, uncertain_tokens=1500)
        killed.cancel()

    virtually(main, budget=Budget(usd=1))


def test_a_request_that_is_found_again_is_counted_once_even_at_the_budgets_edge(
    virtually: Callable[..., Any],
) -> None:
    async def main(bench: Bench) -> None:
        bench.ledger.begin(KEY, bench.caller, MOST, MOST_USD, "")
        bench.ledger.close_open()
        await bench.call(REAL)

    edge = Spent(usd=MOST_USD, requests=1, tokens=1500)  # what that request may have cost is counted in it
    _, bench = virtually(main, resumes=True, budget=Budget(usd=MOST_USD, requests=1), spent=edge)
    assert bench.paid() == Paid(attempts=1, prompt_tokens=400, completion_tokens=100, cost_usd=REAL_USD)


def test_a_request_that_is_made_anew_is_counted_twice(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        bench.ledger.begin(KEY, bench.caller, MOST, MOST_USD, "")
        bench.ledger.close_open()
        await bench.call(REAL)

    _, bench = virtually(main, budget=Budget(usd=1), spent=Spent(usd=MOST_USD, requests=1, tokens=1500))
    assert bench.paid().attempts == 2
    assert bench.paid().uncertain_usd == MOST_USD


def test_what_a_refused_key_cuts_off_costs_nothing(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        other = asyncio.create_task(bench.call(50.0, REAL, key=b"b" * 16))
        await asyncio.sleep(0)
        with pytest.raises(StepError, match="refused"):
            await bench.call(AuthenticationError("the key is refused (401)"))
        other.cancel()
        await asyncio.wait([other])

    _, bench = virtually(main, budget=Budget(usd=1))
    assert [attempt[0] for attempt in bench.attempts()] == ["authentication"]
    assert bench.paid().uncertain_usd == 0


def test_an_answer_without_a_count_of_tokens_is_not_free(virtually: Callable[..., Any]) -> None:
    async def main(bench: Bench) -> None:
        await bench.call(Usage())

    _, bench = virtually(main, budget=Budget(usd=1))
    assert bench.paid().cost_usd == PRICE.cost_usd(MOST.model_dump()) > 0
