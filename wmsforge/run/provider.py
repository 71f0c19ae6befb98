"""A model or an embedder that all steps of a run share, and the tries it takes to get an answer out of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from wmsforge.errors import ParkedError, RecordError, RetryableError, StepError
from wmsforge.prices import Price
from wmsforge.reasons import (
    AUTHENTICATION,
    MALFORMED_RESPONSE,
    OVERLOADED,
    QUOTA,
    RATE_LIMIT,
    SERVER_ERROR,
    TIMEOUT,
    TRANSPORT,
    UNBILLED,
)
from wmsforge.run.events import Events, now
from wmsforge.run.limits.budget import Purse, Spent
from wmsforge.run.limits.limiter import Limiter, Place
from wmsforge.steps.chat_model import Usage
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import Attempt, Caller, Ledger
from wmsforge.store.manifest import CallCounts

T = TypeVar("T")

BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
HINT_JITTER_S = 0.25
"""A server's hint is kept to the letter; this much at most is added, so that not all come back at once."""
SAY_AFTER_S = 10.0
"""Pauses longer than this are told to the user."""
PARK_AFTER_S = 900.0
"""A server that asks for a longer pause than this ends the run until then."""
OF_THE_SERVER = frozenset({TRANSPORT, TIMEOUT, RATE_LIMIT, OVERLOADED, SERVER_ERROR, MALFORMED_RESPONSE})
"""Failures that have nothing to do with what was asked."""
NOTHING = Usage()


@dataclass
class Provider:
    """What calls of one model have in common, whichever step makes them."""

    name: str
    quota: str
    options: LimitOptions
    limiter: Limiter
    price: Price | None
    purse: Purse | None

    @property
    def counts_ahead(self) -> bool:
        """Whether what a call may use must be known before it is made."""
        return self.purse is not None or self.limiter.paced or self.limiter.durable

    def cost_usd(self, usage: Usage) -> float | None:
        """Return what a call cost, None if the price is unknown."""
        return None if self.price is None else self.price.cost_usd(usage.model_dump())


@dataclass
class Call:
    """One call as the ledger knows it."""

    key: bytes
    most: Usage
    """What it may use at most; nothing unless the provider counts ahead."""


class Tries:
    """One step's calls of one provider."""

    def __init__(self, provider: Provider, caller: Caller, ledger: Ledger, events: Events) -> None:
        self.counts = CallCounts()
        self._provider = provider
        self._caller = caller
        self._ledger = ledger
        self._events = events

    async def make(
        self,
        call: Call,
        ask: Callable[[], Awaitable[T]],
        usage_of: Callable[[T], Usage],
        store: Callable[[T | RecordError, float | None, int | None], None],
    ) -> T:
        """Try until there is an answer; it is stored before this returns.

        Args:
            ask: Makes the call once, and raises what `ChatModel.complete` may raise.
            store: Puts what was paid for into the ledger, be it usable or not: outcome, cost, row of `begin`.

        Raises:
            RecordError: If it cannot succeed, or did not within the tries and the time it has.
            ParkedError: If a quota or the budget is used up.
            StepError: If nothing gets through to the provider any more, or it will take no call.
        """
        first_at = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(call, ask, usage_of, store)
            except RetryableError as error:
                pause_s = _pause(attempt, error.after_s)
                self._check_patience(error, attempt, pause_s, time.monotonic() - first_at)
                self.counts.retries += 1
                await asyncio.sleep(pause_s)

    async def _once(
        self,
        call: Call,
        ask: Callable[[], Awaitable[T]],
        usage_of: Callable[[T], Usage],
        store: Callable[[T | RecordError, float | None, int | None], None],
    ) -> T:
        provider, limiter, purse = self._provider, self._provider.limiter, self._provider.purse
        most_cost = provider.cost_usd(call.most)
        most = Spent(most_cost or 0.0, 1, _tokens(call.most))
        place = await limiter.enter(most.tokens)
        real = most
        row: int | None = None
        aside = False
        seconds: float | None = None
        reason, detail, hint_s = "", "", None
        try:
            if purse is not None:
                await purse.set_aside(most)
                aside = True
            if purse is not None or limiter.durable:
                row = self._ledger.begin(call.key, self._caller, call.most, most_cost, now())
            start = time.perf_counter()
            try:
                answer = await self._in_time(ask)
            except (RetryableError, RecordError) as error:
                reason = error.reason if error.reason in OF_THE_SERVER else ""
                detail, hint_s = error.detail, getattr(error, "after_s", None)
                real = self._failed(call, error, most, row, place, store)
                raise
            except (ParkedError, StepError) as error:
                code = QUOTA if isinstance(error, ParkedError) else AUTHENTICATION
                real = Spent(requests=1)
                self._ledger.add(call.key, self._caller, Attempt(code, str(error)), now(), row)
                raise
            seconds = time.perf_counter() - start
            usage = usage_of(answer)
            cost = provider.cost_usd(usage)
            real = Spent(cost or 0.0, 1, _tokens(usage))
            # Stored while the place is held: what a crash can cost is what is in flight.
            store(answer, cost, row)
            limiter.settle(place, real.tokens)
        finally:
            if aside:
                assert purse is not None  # something was set aside in it
                purse.settle(most, real)
            limiter.leave(place, seconds, reason, detail, hint_s)
        self.counts.calls += 1
        self.counts.pay(usage.__dict__, cost)
        return answer

    async def _in_time(self, ask: Callable[[], Awaitable[T]]) -> T:
        timeout_s = self._provider.options.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await ask()
        except TimeoutError as error:
            raise RetryableError(TIMEOUT, f"no answer within {timeout_s:g} s") from error

    def _failed(
        self,
        call: Call,
        error: RetryableError | RecordError,
        most: Spent,
        row: int | None,
        place: Place,
        store: Callable[[RecordError, float | None, int | None], None],
    ) -> Spent:
        """Store a try that gave nothing usable. Return what it cost, or may have cost where no one knows."""
        counts = self.counts
        counts.failures[error.reason] = counts.failures.get(error.reason, 0) + 1
        if error.usage is not None:
            usage = Usage.model_validate(error.usage)
            cost = self._provider.cost_usd(usage)
            counts.pay(usage.__dict__, cost)
            if isinstance(error, RecordError):
                store(error, cost, row)
            else:
                attempt = Attempt(error.reason, error.detail, error.raw, usage, cost)
                self._ledger.add(call.key, self._caller, attempt, now(), row)
            self._provider.limiter.settle(place, _tokens(usage))
            return Spent(cost or 0.0, 1, _tokens(usage))
        unbilled = error.reason in UNBILLED
        usage, spent = (NOTHING, Spent(requests=1)) if unbilled else (call.most, most)
        known = not unbilled and self._provider.counts_ahead
        attempt = Attempt(error.reason, error.detail, error.raw, usage, spent.usd if known else None, known)
        self._ledger.add(call.key, self._caller, attempt, now(), row)
        if unbilled:
            self._provider.limiter.settle(place, 0)
        return spent

    def _check_patience(self, error: RetryableError, attempt: int, pause_s: float, spent_s: float) -> None:
        """Say why the run is slow when a pause is long; stop where waiting is for another day, or for nothing."""
        provider, options = self._provider, self._provider.options
        if pause_s > PARK_AFTER_S:
            again = datetime.now(UTC) + timedelta(seconds=pause_s)
            raise ParkedError(
                f"Model {provider.name!r} asks to wait {pause_s / 60:,.0f} minutes ({error.reason}).",
                reset_at=again.isoformat(timespec="seconds"),
            ) from error
        if provider.limiter.breaker.down_s > options.max_retry_s:
            raise StepError(
                f"Model {provider.name!r}: nothing got through for {options.max_retry_s / 60:,.0f} minutes "
                f"(max_retry_s); the last try ended with {error}\n"
                f"See to the server or the connection, then run the same command again; stored calls are kept."
            ) from error
        if attempt >= options.max_attempts or spent_s + pause_s > options.max_retry_s:
            tries = f"{attempt} attempt{'s' if attempt > 1 else ''} in {spent_s:,.0f} s failed"
            detail = f"{tries}, the last with: {error.detail or error.reason}"
            raise RecordError(error.reason, detail, error.raw) from error
        if pause_s > SAY_AFTER_S:
            self._events.warn(
                self._caller.step, f"model {provider.name!r} asks to wait {pause_s:.0f} s ({error.reason})"
            )


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens + usage.thought_tokens


def _pause(attempt: int, hint_s: float | None) -> float:
    """Return seconds to wait: the server's hint, else full jitter over a doubling range."""
    if hint_s is not None:
        return hint_s + random.uniform(0, min(HINT_JITTER_S, 0.1 * hint_s))
    return random.uniform(0, min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** (attempt - 1)))
