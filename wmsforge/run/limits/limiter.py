"""What stands between a call and its provider: one limiter for all models and steps that share a quota."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wmsforge.reasons import THROTTLED, TIMEOUT
from wmsforge.run.limits.breaker import Breaker
from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.day import Day, day_start, now_utc
from wmsforge.run.limits.level import NO_ROUND, Level
from wmsforge.run.limits.pace import REMEMBERED_S, Pace
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import Ledger

HELD_BACK_S = 0.01
"""A call that waited this long for something else than its place says nothing about the level."""


@dataclass
class Place:
    """A place in flight."""

    round: int
    """Of the level; `NO_ROUND` where something else held the call back."""
    asks_for_all: bool
    tokens: list[float] | None = None
    """What it holds of the tokens a minute, to be corrected when they are known."""


@dataclass
class Ended:
    """What came of a call."""

    seconds: float | None = None
    """How long the answer took, None if there was none."""
    reason: str = ""
    """Why there was none, if that says something about the server; else empty."""
    detail: str = ""
    hint_s: float | None = None
    """Seconds the server asked to wait."""
    heard: bool = False
    """Whether the server dealt with what was asked, be it with a refusal."""


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
        self.level = Level(_concurrency(options), fixed=fixed, changed=tell)
        self.breaker = Breaker(self._opened)
        a_minute, tokens_a_minute = _strictest(options, "requests_per_minute"), _strictest(options, "tokens_per_minute")
        self.paced = a_minute is not None or tokens_a_minute is not None
        self._name = name
        self._warn = warn
        recent = ledger.recent(quota, REMEMBERED_S) if self.paced else []
        self._pace = Pace(a_minute, tokens_a_minute, recent)
        self._day: Day | None = None
        a_day = _strictest(options, "requests_per_day")
        if a_day is not None:
            zone = next(each.day_starts_in for each in options if each.requests_per_day == a_day)
            self._day = Day(name, a_day, zone, ledger.requests_since(quota, day_start(zone, now_utc())))
        self.durable = self.paced or self._day is not None
        """Whether a request must be counted even when the process is killed while it is under way."""

    async def enter(self, tokens: int, *, again: bool = False) -> Place:
        """Wait until a call may be made.

        Args:
            tokens: What it may use at most, prompt and answer.
            again: Whether it was tried before.

        Raises:
            ParkedError: If the day's requests are used up.
        """
        place = Place(await self.level.acquire(again=again), asks_for_all=False)
        try:
            if self.paced or self.breaker.is_open:
                waits_since = now_s()
                place.asks_for_all = await self.breaker.enter()
                if self.paced:
                    place.tokens = await self._pace.enter(tokens)
                if now_s() - waits_since > HELD_BACK_S:
                    place.round = NO_ROUND
            if self._day is not None:
                self._day.take()
        except BaseException:
            place.round = NO_ROUND
            self._give_back(place, Ended())
            raise
        return place

    def leave(self, place: Place, ended: Ended) -> None:
        """Give the place back, with what came of the call."""
        if ended.reason:
            why = f"{ended.reason}: {ended.detail}" if ended.detail else ended.reason
            self.breaker.failed(why, ended.hint_s, throttled=ended.reason in THROTTLED)
        elif ended.heard:
            self.breaker.succeeded()
        self._give_back(place, ended)

    def settle(self, place: Place, tokens: int) -> None:
        """Say how many tokens the call really used."""
        self._pace.settle(place.tokens, tokens)

    def _give_back(self, place: Place, ended: Ended) -> None:
        if place.asks_for_all:
            self.breaker.leave()
        turned_away = ended.reason in THROTTLED or ended.reason == TIMEOUT
        self.level.release(place.round, ended.seconds, turned_away=turned_away)

    def _opened(self, pause_s: float, why: str) -> None:
        self._warn(
            f"nothing gets through to {self._name!r} at the moment; all its calls wait {pause_s:.0f} s, then one tries "
            f"again. It said: {why}"
        )


def _concurrency(options: Sequence[LimitOptions]) -> int:
    """Return the least concurrency that someone wrote; a default holds no other model back."""
    written = [each.concurrency for each in options if "concurrency" in each.model_fields_set]
    return min(written) if written else max(each.concurrency for each in options)


def _strictest(options: Sequence[LimitOptions], name: str) -> int | None:
    return min((limit for each in options if (limit := getattr(each, name)) is not None), default=None)
