"""A model or an embedder that all steps of a run share, and the tries it takes to get an answer out of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TypeVar

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError
from wmsforge.prices import FREE, Price
from wmsforge.reasons import (
    AUTHENTICATION,
    BAD_REQUEST,
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
from wmsforge.run.limits.breaker import SHORT_HINT_S
from wmsforge.run.limits.budget import Purse, Spent
from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.limiter import Ended, Limiter, Place
from wmsforge.run.limits.under_way import UnderWay
from wmsforge.run.secrets import naming_variables
from wmsforge.steps.chat_model import Usage
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import INTERRUPTED, Attempt, Caller, Ledger
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


@dataclass
class Provider:
    """What calls of one model have in common, whichever step makes them."""

    name: str
    quota: str
    options: LimitOptions
    limiter: Limiter
    price: Price | None
    purse: Purse | None
    under_way: UnderWay = field(default_factory=UnderWay)
    """The calls of all providers of the run."""
    resumes: bool = False
    """See `ChatModel.resumes`."""
    waits: dict[bytes, float] = field(default_factory=dict)
    """Calls that the server asked an earlier process to make later, and when: seconds since 1970."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """See `ComponentUse.secrets`."""
    refused: bool = False
    """Whether the key is refused: what is in flight with it costs nothing then."""

    @property
    def counts_ahead(self) -> bool:
        """Whether what a call may use is counted before it is made, so that a kill cannot make it uncounted."""
        return self.purse is not None or self.limiter.durable or self.resumes

    def cost_usd(self, usage: Usage) -> float | None:
        """Return what a call cost, None if the price is unknown."""
        return None if self.price is None else self.price.cost_usd(usage.model_dump())


@dataclass
class Call:
    """One call as the ledger knows it."""

    key: bytes
    reckon: Callable[[], Usage]
    """Gives `most`; asked only where that is needed."""

    @cached_property
    def most(self) -> Usage:
        """What it may use at most."""
        return self.reckon()


@dataclass
class _Try:
    """One try of a call that may be made now, and what comes of it."""

    most: Spent
    real: Spent
    """What it used, or may have used where no one knows."""
    place: Place
    takes_over: int | None
    """The ledger's row of the same request, made by a process that was killed."""
    row: int | None = None
    ended: Ended = field(default_factory=Ended)


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
        try:
            return await self._until_answered(call, ask, usage_of, store)
        except AuthenticationError as error:  # at once: what is in flight with this key will be refused as well
            self._provider.refused = True
            raise naming_variables(error, self._provider.secrets) from error
        except (ParkedError, StepError) as error:
            await self._provider.under_way.stop(error)

    async def _until_answered(
        self,
        call: Call,
        ask: Callable[[], Awaitable[T]],
        usage_of: Callable[[T], Usage],
        store: Callable[[T | RecordError, float | None, int | None], None],
    ) -> T:
        if (again_at := self._provider.waits.pop(call.key, None)) is not None:
            pause_s = max(0.0, again_at - time.time())
            if pause_s > SAY_AFTER_S:
                self._warn(f"asked to wait {pause_s:.0f} s more when the last run was cut off")
            await asyncio.sleep(pause_s)
        first_at = now_s()
        attempt = unhinted = 0
        while True:
            attempt += 1
            try:
                return await self._once(call, ask, usage_of, store, again=attempt > 1)
            except RetryableError as error:
                unhinted += error.after_s is None or error.after_s < SHORT_HINT_S
                pause_s = _pause(unhinted, error.after_s)
                self._check_patience(error, attempt, pause_s, now_s() - first_at)
                self.counts.retries += 1
                await asyncio.sleep(pause_s)

    async def _once(
        self,
        call: Call,
        ask: Callable[[], Awaitable[T]],
        usage_of: Callable[[T], Usage],
        store: Callable[[T | RecordError, float | None, int | None], None],
        *,
        again: bool,
    ) -> T:
        provider = self._provider
        one = await self._begin(call, again=again)
        try:
            if provider.counts_ahead:
                at_most = provider.cost_usd(call.most)
                one.row = self._ledger.begin(call.key, self._caller, call.most, at_most, now(), one.takes_over)
            start = now_s()
            try:
                answer = await self._in_time(ask)
            except (RetryableError, RecordError) as error:
                self._failed(call, one, error, store)
                raise
            except (ParkedError, StepError) as error:
                one.real = Spent(requests=1)
                attempt = Attempt(_code(error), str(error), cost_usd=0.0)
                self._ledger.add(call.key, self._caller, attempt, now(), one.row)
                raise
            except asyncio.CancelledError:
                self._cut_off(call, one)
                raise
            one.ended.seconds, one.ended.heard = now_s() - start, True
            usage = usage_of(answer)
            cost = self._cost(call, usage)
            counted = usage if usage.prompt_tokens or not provider.counts_ahead else call.most
            one.real = Spent(cost or 0.0, 1, _tokens(counted))
            # Stored while the place is held: what a crash can cost is what is in flight.
            store(answer, cost, one.row)
        finally:
            self._end(one)
        self.counts.calls += 1
        self.counts.pay(usage.__dict__, cost)
        return answer

    def _cost(self, call: Call, usage: Usage) -> float | None:
        """Return what an answer cost; without a count of its tokens, the most that it may have cost."""
        provider = self._provider
        if usage.prompt_tokens or provider.price is None or provider.price == FREE:
            return provider.cost_usd(usage)
        self._warn("does not count tokens: each call is taken for the most that it may cost")
        return provider.cost_usd(call.most)

    async def _begin(self, call: Call, *, again: bool) -> _Try:
        """Wait until a call may be made. Money comes first: who waits for it holds no place."""
        provider, limiter, purse = self._provider, self._provider.limiter, self._provider.purse
        most = Spent(requests=1)
        if provider.counts_ahead:
            most = Spent(provider.cost_usd(call.most) or 0.0, 1, _tokens(call.most))
        before = self._ledger.interrupted(call.key, self._caller) if provider.resumes else None
        if purse is not None:
            await purse.set_aside(most, None if before is None else Spent(before.cost_usd, 1, before.tokens))
        place: Place | None = None
        try:
            place = await limiter.enter(most.tokens, again=again)
            if not provider.resumes:  # what is found again need not end before the run does
                await provider.under_way.enter()
        except BaseException:
            if place is not None:
                limiter.leave(place, Ended())
            if purse is not None:
                purse.settle(most, Spent())
            raise
        return _Try(most, most, place, None if before is None else before.row)

    def _end(self, one: _Try) -> None:
        provider = self._provider
        if not provider.resumes:
            provider.under_way.leave()
        if provider.purse is not None:
            provider.purse.settle(one.most, one.real)
        provider.limiter.settle(one.place, one.real.tokens)
        provider.limiter.leave(one.place, one.ended)

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
        one: _Try,
        error: RetryableError | RecordError,
        store: Callable[[RecordError, float | None, int | None], None],
    ) -> None:
        """Store a try that gave nothing usable."""
        counts, ended = self.counts, one.ended
        reached = getattr(error, "reached", True)
        counts.failures[error.reason] = counts.failures.get(error.reason, 0) + 1
        ended.heard = error.reason not in OF_THE_SERVER
        ended.reason = "" if ended.heard else error.reason
        ended.detail, ended.hint_s = error.detail, getattr(error, "after_s", None)
        if error.usage is not None:
            usage = Usage.model_validate(error.usage)
            cost = self._provider.cost_usd(usage)
            counts.pay(usage.__dict__, cost)
            one.real = Spent(cost or 0.0, 1, _tokens(usage))
            if isinstance(error, RecordError):
                store(error, cost, one.row)
                return
            attempt = Attempt(error.reason, error.detail, error.raw, usage, cost)
        elif not reached:
            one.real = Spent()
            if one.row is not None:
                self._ledger.withdraw(one.row)
            return
        elif error.reason in UNBILLED:
            one.real = Spent(requests=1)
            attempt = Attempt(error.reason, error.detail, error.raw, cost_usd=0.0, again_at=_again_at(ended.hint_s))
        else:  # it may have been charged
            cost = self._provider.cost_usd(call.most)
            attempt = Attempt(error.reason, error.detail, error.raw, call.most, cost, at_most=True)
        self._ledger.add(call.key, self._caller, attempt, now(), one.row)

    def _cut_off(self, call: Call, one: _Try) -> None:
        """Count a request that the run leaves alone as it stops, unless it was begun and so is counted already."""
        if self._provider.refused:
            one.real = Spent()
            if one.row is not None:
                self._ledger.withdraw(one.row)
        elif one.row is None:
            cost = self._provider.cost_usd(call.most)
            attempt = Attempt(INTERRUPTED, usage=call.most, cost_usd=cost, at_most=True)
            self._ledger.add(call.key, self._caller, attempt, now())

    def _check_patience(self, error: RetryableError, attempt: int, pause_s: float, spent_s: float) -> None:
        """Say why the run is slow when a pause is long; stop where waiting is for another day, or for nothing."""
        provider, options = self._provider, self._provider.options
        if pause_s > PARK_AFTER_S:
            again = datetime.now(UTC) + timedelta(seconds=pause_s)
            raise ParkedError(
                f"Model {provider.name!r} asks to wait {pause_s / 60:,.0f} minutes, until {again:%Y-%m-%d %H:%M} UTC "
                f"({error}).\nEverything so far is stored and is not paid again: run the same command then.",
                reset_at=again.isoformat(timespec="seconds"),
            ) from error
        down_s = provider.limiter.breaker.down_s
        if down_s > options.max_retry_s:
            raise StepError(
                f"Model {provider.name!r}: nothing got through for {options.max_retry_s / 60:,.0f} minutes "
                f"(max_retry_s); the last try ended with {error}\n"
                f"See to the server or the connection, then run the same command again; stored calls are kept."
            ) from error
        # Time in which nothing got through is not the call's: the run stops then, and no record is lost.
        if attempt >= options.max_attempts or spent_s - down_s + pause_s > options.max_retry_s:
            tries = f"{attempt} attempt{'s' if attempt > 1 else ''} in {spent_s:,.0f} s failed"
            detail = f"{tries}, the last with: {error.detail or error.reason}"
            raise RecordError(error.reason, detail, error.raw) from error
        if pause_s > SAY_AFTER_S:
            self._warn(f"asks to wait {pause_s:.0f} s ({error.reason})")

    def _warn(self, what: str) -> None:
        self._events.warn(self._caller.step, f"model {self._provider.name!r} {what}")


def _code(error: ParkedError | StepError) -> str:
    if isinstance(error, ParkedError):
        return QUOTA
    return AUTHENTICATION if isinstance(error, AuthenticationError) else BAD_REQUEST


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens + usage.thought_tokens


def _again_at(hint_s: float | None) -> float | None:
    """Return when a call may be made again, for the ledger: a process after this one keeps the hint too."""
    return None if hint_s is None or hint_s > PARK_AFTER_S else time.time() + hint_s


def _pause(unhinted: int, hint_s: float | None) -> float:
    """Return seconds to wait: the server's hint, else full jitter over a range that doubles with each such failure."""
    if hint_s is not None and hint_s >= SHORT_HINT_S:
        return hint_s + random.uniform(0, min(HINT_JITTER_S, 0.1 * hint_s))
    return max(hint_s or 0.0, random.uniform(0, min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** (unhinted - 1))))
