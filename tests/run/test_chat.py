"""LedgeredChat: what is asked again and what is not, how often, how many at once, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pluggy
import pytest

from wmsforge import hookspecs
from wmsforge.errors import ParkedError, RecordError, RetryableError, StepError
from wmsforge.hookspecs import hookimpl
from wmsforge.run import provider as provider_module
from wmsforge.run.chat import LedgeredChat, OpenModel
from wmsforge.run.events import Events
from wmsforge.run.limits.limiter import Limiter
from wmsforge.run.provider import Provider
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, Message, ModelOptions, Usage
from wmsforge.store.call_keys import CallKeys
from wmsforge.store.ledger import Caller, Ledger
from wmsforge.testing import LocalContext


class Scripted(ChatModel):
    """Does what the test says, call by call; the last of it again and again."""

    calls = 0

    def play(self, *script: Callable[[], Awaitable[Any] | Any]) -> None:
        self.script = script

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.calls += 1
        outcome = self.script[min(self.calls, len(self.script)) - 1]()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome if isinstance(outcome, ChatResponse) else await outcome


class Watcher:
    """What a plugin with the hook `call_finished` is told: step, model, tokens given, whether reused."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int, bool]] = []

    @hookimpl
    def call_finished(self, step: str, model: str, seconds: float, usage: dict[str, int], reused: bool) -> None:
        assert seconds >= 0
        self.told.append((step, model, usage["completion_tokens"], reused))


class Bench:
    """A model, its ledger, and chats of it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.watcher = Watcher()
        self.warnings: list[str] = []
        manager = pluggy.PluginManager(hookspecs.GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(self.watcher)
        self.hook = manager.hook
        self.model = Scripted(ModelOptions(**options), LocalContext(folder))
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.events = Events(folder / "events.jsonl")
        name, limits = "expert (m)", self.model.options
        limiter = Limiter(
            name, "q", [limits], self.ledger, fixed=False, warn=self.warnings.append, tell=lambda level, why: None
        )
        self.shared = OpenModel(self.model, CallKeys({"model": "m"}), Provider(name, "q", limits, limiter, None, None))

    def chat(self, step: str = "answers") -> LedgeredChat:
        caller = Caller("recipe", step, "expert (m)", "q", "run-1")
        return LedgeredChat(caller, self.shared, self.ledger, self.events, self.hook)

    def close(self) -> None:
        self.ledger.close()
        self.events.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**options: Any) -> Bench:
        benches.append(Bench(tmp_path, **options))
        return benches[-1]

    yield make
    for made in benches:
        made.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, which take no time here; jitter is at its most."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(provider_module.asyncio, "sleep", sleep)
    monkeypatch.setattr(provider_module.random, "uniform", lambda low, high: high)
    return taken


def good(text: str = "yes") -> ChatResponse:
    return ChatResponse(text=text, usage=Usage(prompt_tokens=5, completion_tokens=2))


def request(text: str = "why", **options: Any) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), **options)


async def test_a_stored_call_is_not_made_again(bench: Callable[..., Bench]) -> None:
    used = bench()
    used.model.play(good)
    first = await used.chat().complete(request())
    again = used.chat("other")
    assert await again.complete(request()) == first
    assert (used.model.calls, again.counts.calls, again.counts.reused) == (1, 0, 1)
    assert first.created_at  # kept on reuse
    assert used.watcher.told == [("answers", "expert (m)", 2, False), ("other", "expert (m)", 2, True)]


@pytest.mark.parametrize("other", [{"sample": 1}, {"max_tokens": 9}, {"temperature": 0.5}, {"stop": ("x",)}])
async def test_another_request_is_another_call(bench: Callable[..., Bench], other: dict[str, Any]) -> None:
    used = bench()
    used.model.play(good)
    chat = used.chat()
    await chat.complete(request())
    await chat.complete(request(**other))
    assert (used.model.calls, chat.counts.calls, chat.counts.prompt_tokens) == (2, 2, 10)


async def test_the_same_call_asked_twice_at_once_is_made_once(bench: Callable[..., Bench]) -> None:
    used = bench()
    go = asyncio.Event()

    async def slow() -> ChatResponse:
        await go.wait()
        return good()

    used.model.play(slow)
    one, two = used.chat("one"), used.chat("two")
    asked = asyncio.gather(one.complete(request()), two.complete(request()))
    await asyncio.sleep(0)
    go.set()
    first, second = await asked
    assert first == second
    assert (used.model.calls, one.counts.calls, two.counts.calls, two.counts.reused) == (1, 1, 0, 1)
    assert used.watcher.told == [("one", "expert (m)", 2, False), ("two", "expert (m)", 2, True)]
    assert used.shared.under_way == {}


async def test_two_models_of_one_identity_make_a_call_once(bench: Callable[..., Bench]) -> None:
    used = bench()
    used.model.play(good)
    twin = OpenModel(used.model, used.shared.keys, used.shared.provider, used.shared.under_way)
    other = LedgeredChat(Caller("recipe", "b", "b (m)", "q", "run-1"), twin, used.ledger, used.events, used.hook)
    first, second = await asyncio.gather(used.chat().complete(request()), other.complete(request()))
    assert first == second
    assert (used.model.calls, other.counts.reused) == (1, 1)


async def test_what_is_not_to_be_tried_again_fails_as_it_did(bench: Callable[..., Bench], pauses: list[float]) -> None:
    used = bench(max_attempts=2)
    used.model.play(lambda: RetryableError("server_error", "down", raw="<html>"))
    with pytest.raises(RecordError, match="2 attempts in"):
        await used.chat().complete(request())
    key = used.shared.keys.key(request().model_dump_json())
    used.shared.stays_failed = {key: RecordError("server_error", "2 attempts failed")}
    with pytest.raises(RecordError) as raised:
        await used.chat().complete(request())
    assert (raised.value.reason, raised.value.detail, raised.value.raw) == ("server_error", "down", "<html>")
    assert used.model.calls == 2


async def test_a_twin_hears_of_the_failure_and_counts_no_reuse(bench: Callable[..., Bench]) -> None:
    used = bench()

    async def refuse() -> ChatResponse:
        await asyncio.sleep(0)
        raise RecordError("refused", "no")

    used.model.play(refuse, good)
    one, two = used.chat("one"), used.chat("two")
    outcomes = await asyncio.gather(one.complete(request()), two.complete(request()), return_exceptions=True)
    assert [getattr(outcome, "reason", None) for outcome in outcomes] == ["refused", "refused"]
    assert (used.model.calls, two.counts.reused, used.watcher.told) == (1, 0, [])
    assert (await two.complete(request())).text == "yes"  # a failure is not remembered


async def test_a_twin_of_a_cancelled_call_makes_the_call_itself(bench: Callable[..., Bench]) -> None:
    used = bench()
    never = asyncio.Event()

    async def hang() -> ChatResponse:
        await never.wait()
        return good("never")

    used.model.play(hang, good)
    one, two = used.chat("one"), used.chat("two")
    cancelled = asyncio.create_task(one.complete(request()))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(two.complete(request()))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert (await waiting).text == "yes"
    assert (two.counts.calls, two.counts.reused) == (1, 0)


async def test_the_pause_doubles_to_a_limit_and_respects_the_servers_hint(
    bench: Callable[..., Bench], pauses: list[float]
) -> None:
    used = bench(max_attempts=12)
    again = [lambda: RetryableError("server_error")] * 8
    used.model.play(lambda: RetryableError("rate_limit", "slow down", after_s=30), *again, good)
    chat = used.chat()
    assert (await chat.complete(request())).text == "yes"
    assert pauses == [30.25, 1, 2, 4, 8, 16, 32, 60, 60]
    assert (chat.counts.calls, chat.counts.retries) == (1, 9)
    assert [reused for *_, reused in used.watcher.told] == [False]


async def test_a_server_that_asks_for_hours_ends_the_run_until_then(
    bench: Callable[..., Bench], pauses: list[float]
) -> None:
    used = bench()
    used.model.play(lambda: RetryableError("rate_limit", "come back tomorrow", after_s=86_400))
    with pytest.raises(ParkedError, match=r"asks to wait 1,44\d minutes, until .* \(rate_limit: come") as raised:
        await used.chat().complete(request())
    assert raised.value.reset_at is not None
    assert (used.model.calls, pauses) == (1, [])


async def test_attempts_are_capped_and_the_reason_is_kept(bench: Callable[..., Bench], pauses: list[float]) -> None:
    used = bench(max_attempts=3)
    used.model.play(lambda: RetryableError("rate_limit", "429 from the server"))
    chat = used.chat()
    with pytest.raises(RecordError) as raised:
        await chat.complete(request())
    assert raised.value.reason == "rate_limit"
    assert raised.value.detail == "3 attempts in 0 s failed, the last with: 429 from the server"
    assert (used.model.calls, len(pauses), chat.counts.calls, chat.counts.retries) == (3, 2, 0, 2)
    assert used.ledger.count() == 0


async def test_a_model_that_does_not_answer_in_time_is_asked_again(
    bench: Callable[..., Bench], pauses: list[float]
) -> None:
    used = bench(max_attempts=2, timeout_s=0.01)
    used.model.play(asyncio.Event().wait)
    with pytest.raises(RecordError) as raised:
        await used.chat().complete(request())
    assert str(raised.value) == "timeout: 2 attempts in 0 s failed, the last with: no answer within 0.01 s"


async def test_never_more_calls_at_once_than_the_option_says_and_no_slot_held_in_a_pause(
    bench: Callable[..., Bench],
) -> None:
    used = bench(concurrency=3)
    now = most = 0

    async def count() -> ChatResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return good()

    used.model.play(count)
    chats = [used.chat(f"step {number}") for number in range(2)]
    await asyncio.gather(*(chats[number % 2].complete(request(str(number))) for number in range(40)))
    assert (most, used.model.calls) == (3, 40)


async def test_a_call_that_waits_to_be_tried_again_lets_others_go_first(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    used = bench(concurrency=1)
    used.model.play(lambda: RetryableError("rate_limit"), good)
    chat = used.chat()

    async def sleep(seconds: float) -> None:
        assert used.shared.provider.limiter.level.in_flight == 0

    monkeypatch.setattr(provider_module.asyncio, "sleep", sleep)
    assert (await chat.complete(request())).text == "yes"


@pytest.mark.parametrize("error", [ParkedError("quota"), StepError("wrong key"), RecordError("too_long")])
async def test_other_errors_pass_through_at_once(
    bench: Callable[..., Bench], pauses: list[float], error: Exception
) -> None:
    used = bench()
    used.model.play(lambda: error)
    chat = used.chat()
    with pytest.raises(type(error)) as raised:
        await chat.complete(request())
    assert raised.value is error
    assert (used.model.calls, pauses, chat.counts.calls, used.watcher.told) == (1, [], 0, [])


async def test_half_of_a_surrogate_pair_does_not_lose_a_paid_answer(bench: Callable[..., Bench]) -> None:
    used = bench()
    used.model.play(lambda: good("입고 \ud83d 검수"))
    assert (await used.chat().complete(request())).text == "입고 \ufffd 검수"
    assert (await used.chat("other").complete(request())).text == "입고 \ufffd 검수"
    assert used.model.calls == 1


async def test_half_of_a_surrogate_pair_in_a_failure_is_stored_too(bench: Callable[..., Bench]) -> None:
    used = bench()
    paid = RecordError("refusal", "\ud83d", raw="\udc00", usage={"prompt_tokens": 3})
    used.model.play(lambda: paid)
    for _ in range(2):
        with pytest.raises(RecordError, match="refusal"):
            await used.chat().complete(request())
    assert used.model.calls == 1
