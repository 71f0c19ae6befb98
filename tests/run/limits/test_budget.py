"""Purse: a hard stop that calls in flight cannot exceed, and no call that would fit is refused."""

from __future__ import annotations

import asyncio
import random

import pytest
from virtual_time import run_in_virtual_time

from wmsforge.errors import ParkedError
from wmsforge.recipe.model import Budget
from wmsforge.run.limits.budget import Purse, Spent
from wmsforge.run.limits.clock import now_s

MOST = Spent(usd=0.003, requests=1, tokens=900)


def test_calls_in_flight_cannot_exceed_the_budget() -> None:
    chance = random.Random(1)
    spent: list[float] = []

    async def main() -> None:
        purse = Purse(Budget(usd=1.0), Spent(), "r.yaml")

        async def work() -> None:
            while True:
                await purse.set_aside(MOST)
                await asyncio.sleep(chance.uniform(0.1, 1))
                real = chance.uniform(0.0005, 0.003)
                spent.append(real)
                purse.settle(MOST, Spent(real, 1, 300))

        outcomes = await asyncio.gather(*(work() for _ in range(64)), return_exceptions=True)
        assert all(isinstance(outcome, ParkedError) for outcome in outcomes)

    run_in_virtual_time(main())
    assert 1.0 - MOST.usd < sum(spent) <= 1.0


def test_a_call_waits_for_those_in_flight_that_may_give_back() -> None:
    async def main() -> float:
        purse = Purse(Budget(tokens=1000), Spent(tokens=50), "r.yaml")
        await purse.set_aside(MOST)
        asyncio.get_running_loop().call_later(7, purse.settle, MOST, Spent(0, 1, 40))
        await purse.set_aside(MOST)
        return now_s()

    assert run_in_virtual_time(main()) == pytest.approx(7)


@pytest.mark.parametrize(
    ("budget", "spent", "says", "option"),
    [
        (Budget(usd=1.0), Spent(usd=0.998), "0.9980 of 1.00 USD are spent", "budget.usd=2"),
        (Budget(requests=10), Spent(requests=10), "10 of 10 requests are spent", "budget.requests=20"),
        (Budget(tokens=5000), Spent(tokens=4101), "4,101 of 5,000 tokens are spent", "budget.tokens=10000"),
    ],
)
def test_what_is_used_up_is_named_with_what_to_do(budget: Budget, spent: Spent, says: str, option: str) -> None:
    async def main() -> None:
        await Purse(budget, spent, "r.yaml").set_aside(MOST)

    with pytest.raises(ParkedError, match=says) as raised:
        run_in_virtual_time(main())
    assert raised.value.options == ("--set", option)


def test_what_an_earlier_process_counted_for_the_same_call_is_not_counted_twice() -> None:
    async def main() -> None:
        purse = Purse(Budget(requests=2), Spent(requests=2), "r.yaml")  # one of them is this call's
        await purse.set_aside(MOST, counted=Spent(requests=1))
        purse.settle(MOST, Spent(requests=1))
        with pytest.raises(ParkedError):
            await purse.set_aside(MOST)

    run_in_virtual_time(main())
