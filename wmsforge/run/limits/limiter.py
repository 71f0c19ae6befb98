"""What stands between a call and its provider: one limiter for all models and steps that share a quota."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wmsforge.reasons import THROTTLED
from wmsforge.run.limits.breaker import Breaker
from wmsforge.run.limits.day import Day, day_start
from wmsforge.run.limits.level import Level
from wmsforge.run.limits.window import MINUTE_S, Window
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import Ledger


@dataclass
class Place:
    """A place in flight."""

    round: int
    asks_for_all: bool
    windows: list[tuple[Window, list[float]]] = field(default_factory=list)
    """The entry of each call that counts tokens, to be corrected when they are known."""


class Limiter:
    """Requests and tokens a minute, requests a day, calls in flight, and a pause when nothing gets through.

    Args:
        name: The model, for messages.
        quota: What the provider counts by, see `ChatModel.quota`.
        options: Of every model that shares the quota; the strictest of each limit holds.
        fixed: Whether `concurrency` is the level to keep.
        warn: Tells the user why the run is slow.
        tell: Told the level of calls in flight and why, when another one is found.
    """

    def __init__(
        self,
        name: str,
        quota: str,
        options: Sequence[LimitOptions],
        ledger: Ledger,
        *,
        fixed: bool,
        warn: Callable[[str], None],
        tell: Callable[[int, str], None],
    ) -> None:
        self.level = Level(min(each.concurrency for each in options), fixed=fixed, changed=tell)
        self.breaker = Breaker(self._opened)
        self.paced = any(_set(options, "requests_per_minute") + _set(options, "tokens_per_minute"))
        self._name = name
        self._warn = warn
        self._turns = asyncio.Lock()
        recent = ledger.recent(quota, MINUTE_S) if self.paced else []
        self._requests = _window(_set(options, "requests_per_minute"), [(ago, 1) for ago, _ in recent])
        self._tokens = _window(_set(options, "tokens_per_minute"), recent)
        self._day: Day | None = None
        a_day = _set(options, "requests_per_day")
        if a_day:
            zone = next(each.day_starts_in for each in options if each.requests_per_day == min(a_day))
            self._day = Day(name, min(a_day), zone, ledger.requests_since(quota, day_start(zone)))
        self.durable = self._day is not None
        """Whether a request must be counted even when the process is killed while it is under way."""

    async def enter(self, tokens: int) -> Place:
        """Wait until a call may be made.

        Args:
            tokens: What it may use at most, prompt and answer.

        Raises:
            ParkedError: If the day's requests are used up.
        """
        round = await self.level.acquire()
        place = Place(round, asks_for_all=False)
        try:
            place.asks_for_all = await self.breaker.enter()
            if self.paced:
                await self._pace(place, tokens)
            if self._day is not None:
                self._day.take()
        except BaseException:
            self._give_back(place)
            raise
        return place

    def leave(
        self, place: Place, seconds: float | None, reason: str = "", detail: str = "", hint_s: float | None = None
    ) -> None:
        """Give the place back, with what came of the call.

        Args:
            seconds: How long the answer took, None if there was none.
            reason: Why there was none, if that says something about the server; else empty.
        """
        if reason:
            self.breaker.failed(f"{reason}: {detail}" if detail else reason, hint_s)
        elif seconds is not None:
            self.breaker.succeeded()
        self._give_back(place, seconds, turned_away=reason in THROTTLED)

    def settle(self, place: Place, tokens: int) -> None:
        """Say how many tokens the call really used."""
        for window, entry in place.windows:
            window.settle(entry, tokens)

    def _give_back(self, place: Place, seconds: float | None = None, *, turned_away: bool = False) -> None:
        if place.asks_for_all:
            self.breaker.leave()
        self.level.release(place.round, seconds, turned_away=turned_away)

    async def _pace(self, place: Place, tokens: int) -> None:
        async with self._turns:  # first come, first served
            for window, amount, counts_tokens in ((self._requests, 1, False), (self._tokens, tokens, True)):
                if window is None:
                    continue
                entry = await window.enter(amount)
                if counts_tokens:
                    place.windows.append((window, entry))

    def _opened(self, pause_s: float, why: str) -> None:
        self._warn(
            f"nothing gets through to {self._name!r} at the moment; all its calls wait {pause_s:.0f} s, then one tries "
            f"again. It said: {why}"
        )


def _set(options: Sequence[LimitOptions], name: str) -> list[int]:
    return [limit for each in options if (limit := getattr(each, name)) is not None]


def _window(limits: Sequence[int], used: Sequence[tuple[float, float]]) -> Window | None:
    return Window(min(limits), used) if limits else None
