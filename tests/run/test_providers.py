"""Providers: one limiter for all models that share a quota, and what a recipe has spent so far."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wmsforge.errors import ParkedError, StepError
from wmsforge.options import Options, Ref
from wmsforge.recipe.model import Budget, ComponentUse, Recipe, Step, Target
from wmsforge.registry import Offer
from wmsforge.run.events import Events
from wmsforge.run.limits.budget import Spent
from wmsforge.run.providers import Providers
from wmsforge.steps.base import Component
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, ModelOptions, Usage
from wmsforge.store.ledger import Attempt, Caller, Ledger
from wmsforge.testing import LocalContext


class Keyed(ChatModel):
    """A model whose provider counts by key."""

    class Options(ModelOptions):
        key: str = ""
        model: str = "m"

    def quota(self) -> str:
        return str(self.options.key)

    async def complete(self, request: ChatRequest) -> ChatResponse:
        raise NotImplementedError


class Asks(Component):
    """A step with a model of its own, written inline."""


def use(**options: Any) -> ComponentUse:
    return ComponentUse(Offer("chat_model", "keyed", "x:Keyed", "", "p", "1"), Keyed, Keyed.Options(**options), {}, 1)


def step_with(model: ComponentUse) -> Step:
    ref = Ref("chat_model", "keyed")
    asks = ComponentUse(model.offer, Asks, Options(), {}, 1, ((ref, Target(inline=model)),))
    return Step("questions", "question_generator", (asks,), (), 1, "Question")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    yield ledger
    ledger.close()


@pytest.fixture
def events(tmp_path: Path) -> Iterator[Events]:
    events = Events(tmp_path / "events.jsonl")
    yield events
    events.close()


def model(folder: Path, made: ComponentUse) -> Keyed:
    return Keyed(made.options, LocalContext(folder))


async def test_models_of_one_key_share_a_limiter_and_the_strictest_limits_hold(
    ledger: Ledger, events: Events, tmp_path: Path
) -> None:
    ask, answer = use(key="k1", concurrency=64), use(key="k1", concurrency=8, requests_per_minute=15)
    other, inline = use(key="k2", concurrency=64), use(key="k2", concurrency=3)
    recipe = Recipe("r.yaml", "r", "ko", 1, {"ask": ask, "answer": answer, "other": other}, {"q": step_with(inline)})
    providers = Providers(recipe, ledger, events)
    one, two, three, four = (
        providers.provider(id, model(tmp_path, made), fixed=False)
        for id, made in (("ask", ask), ("answer", answer), ("other", other), ("q.model-keyed", inline))
    )
    assert one.limiter is two.limiter
    assert three.limiter is four.limiter
    assert one.limiter is not three.limiter
    assert (one.limiter.level.most, one.limiter.paced) == (8, True)
    assert (three.limiter.level.most, three.limiter.paced) == (3, False)
    assert one.under_way is three.under_way


async def test_a_default_concurrency_holds_no_other_model_of_the_key_back(
    ledger: Ledger, events: Events, tmp_path: Path
) -> None:
    ask, unset = use(key="k1", concurrency=64), use(key="k1")
    recipe = Recipe("r.yaml", "r", "ko", 1, {"ask": ask, "unset": unset}, {})
    made = Providers(recipe, ledger, events).provider("ask", model(tmp_path, ask), fixed=False)
    assert made.limiter.level.most == 64


async def test_models_without_a_key_share_with_no_other(ledger: Ledger, events: Events, tmp_path: Path) -> None:
    first, second = use(), use()
    recipe = Recipe("r.yaml", "r", "ko", 1, {"first": first, "second": second}, {})
    providers = Providers(recipe, ledger, events)
    made = [providers.provider(id, model(tmp_path, first), fixed=False) for id in ("first", "second")]
    assert made[0].limiter is not made[1].limiter
    assert [each.quota for each in made] == ["r/first", "r/second"]


async def test_a_model_that_finds_its_requests_again_says_so(ledger: Ledger, events: Events, tmp_path: Path) -> None:
    used = use()
    providers = Providers(Recipe("r.yaml", "r", "ko", 1, {"a": used}, {}), ledger, events)
    plain, batch = model(tmp_path, used), model(tmp_path, used)
    batch.resumes = True
    made = [providers.provider("a", each, fixed=False) for each in (plain, batch)]
    assert [(each.resumes, each.counts_ahead) for each in made] == [(False, False), (True, True)]


async def test_a_budget_in_usd_needs_a_price(ledger: Ledger, events: Events, tmp_path: Path) -> None:
    unknown, known = use(), use(price={"input": 1, "output": 2})
    recipe = Recipe("r.yaml", "r", "ko", 1, {"a": unknown, "b": known}, {}, budget=Budget(usd=1.0))
    providers = Providers(recipe, ledger, events)
    with pytest.raises(StepError, match=r"Model 'a \(m\)': its price is unknown, and the budget of r.yaml is in USD"):
        providers.provider("a", model(tmp_path, unknown), fixed=False)
    assert providers.provider("b", model(tmp_path, known), fixed=False).price is not None


async def test_what_earlier_runs_spent_or_may_have_spent_counts(ledger: Ledger, events: Events, tmp_path: Path) -> None:
    caller = Caller("r", "answers", "a (m)", "q", "run-0")
    usage = Usage(prompt_tokens=100, completion_tokens=20)
    ledger.put(b"1" * 16, caller, "{}", ChatResponse(text="a", usage=usage), cost_usd=0.3)
    ledger.add(b"2" * 16, caller, Attempt("timeout", usage=usage, cost_usd=0.4, at_most=True), "")
    ledger.begin(b"3" * 16, caller, usage, 0.2, "")
    ledger.close_open()
    ledger.put(b"4" * 16, Caller("other", "answers", "a (m)", "q", "run-0"), "{}", ChatResponse(text="b"), cost_usd=9)
    priced = use(price={"input": 1, "output": 2})
    recipe = Recipe("r.yaml", "r", "ko", 1, {"a": priced}, {}, budget=Budget(usd=1.0, requests=4))
    purse = Providers(recipe, ledger, events).provider("a", model(tmp_path, priced), fixed=False).purse
    assert purse is not None
    await purse.set_aside(Spent(usd=0.1, requests=1))
    purse.settle(Spent(usd=0.1, requests=1), Spent(usd=0.1, requests=1))
    with pytest.raises(ParkedError, match=r"budget of r\.yaml is used up: 1\.0000 of 1\.00 USD"):
        await purse.set_aside(Spent(usd=0.01))
