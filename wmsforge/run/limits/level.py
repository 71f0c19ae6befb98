"""How many calls to have in flight: found by trying, since no provider says it.

More calls at once are worth it while they carry more: where the server only queues them, each takes
longer in proportion, and where it turns them away the share of those grows. So the level is tried
out: doubled from a careful start while that pays, then up and down by a fifth now and then; and cut
when calls are turned away or slow down, which stays only if it helped. Latency tells what servers
without a 429 never say. Calls that fail whatever the level (a share of 429 at random, longer answers
in the middle of a run) are thereby told from an overload, and cost no speed.

Follows additive increase and multiplicative decrease as TCP has it (Chiu and Jain, 1989), with
Little's law (calls in flight = throughput x latency) in place of a throughput measured.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

START = 32
"""Calls in flight at first, if as many are allowed."""
ROUND = 32
"""Calls by which a level is judged at least."""
DOUBLE, PROBE, CUT = 2.0, 1.2, 0.7
WORTH = 0.6
"""A higher level is worth it while latency grows by less than this power of the level."""
SLOWER = 1.5
"""Times the usual latency from which on a server counts as slowed down."""
TURNED_AWAY = 0.05
"""Share of calls turned away, beyond the usual, that counts as overload."""
PATIENCE = 4, 64
"""Rounds to stay before the next probe: at first, and after many that were not worth it."""


@dataclass
class _Round:
    """What was seen at one level."""

    level: int
    latency_s: float
    turned_away: float


class Level:
    """A semaphore that finds its own size.

    Args:
        most: Calls in flight at most.
        fixed: Keep it at `most`.
        changed: Told the new level and why, when it settles on another.
    """

    def __init__(self, most: int, *, fixed: bool = False, changed: Callable[[int, str], None] | None = None) -> None:
        self.most = most
        self.now = most if fixed else min(most, START)
        self.in_flight = 0
        self._fixed = fixed
        self._changed = changed
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._settled: _Round | None = None
        self._trial = 0.0
        """The factor being tried, 0 while the level is settled."""
        self._starting = True
        self._patience = PATIENCE[0]
        self._stayed = 0
        self._probe = PROBE
        self._begin_round()

    async def acquire(self) -> int:
        """Wait for a place, first come, first served; gives the round that the call belongs to."""
        if self.in_flight < self.now and not self._waiting:
            self.in_flight += 1
            return self._round
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()
            raise
        return self._round

    def release(self, round: int, seconds: float | None = None, *, turned_away: bool = False) -> None:
        """Give the place back, with what came of the call.

        Args:
            seconds: How long the answer took, None if there was none.
            turned_away: Whether the server had no room for the call.
        """
        full = self.in_flight >= self.now
        self._leave()
        if self._fixed or round != self._round:  # a call begun at another level says nothing about this one
            return
        self._ended += 1
        self._full += full
        self._turned_away += turned_away
        if seconds is not None:
            self._seconds.append(seconds)
        if self._ended >= max(ROUND, self.now):
            self._end_round()

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self.now:
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)

    # -- judging

    def _begin_round(self) -> None:
        self._round = getattr(self, "_round", 0) + 1
        self._ended = self._full = self._turned_away = 0
        self._seconds: list[float] = []

    def _end_round(self) -> None:
        enough = self._full >= self._ended / 2 and len(self._seconds) >= self._ended / 4
        if enough:  # else the level was not what held the calls back, or hardly any got through
            self._judge(_Round(self.now, median(self._seconds), self._turned_away / self._ended), self._ended)
        elif self._trial and self._settled is not None:
            self._settle(self._settled, "")
        self._begin_round()

    def _judge(self, seen: _Round, calls: int) -> None:
        settled = self._settled
        if settled is None:
            self._settled = seen
            self._try(CUT if seen.turned_away > TURNED_AWAY else DOUBLE)
        elif not self._trial:
            self._stay(seen, settled, calls)
        elif self._trial > 1:
            if not _more_turned_away(seen, settled, calls) and _elasticity(seen, settled) < WORTH:
                self._settle(seen, "the server carries more")
                self._try(self._trial_after_success())
            else:
                self._starting = False
                self._go_back(settled)
        elif seen.turned_away < 0.6 * settled.turned_away or _elasticity(seen, settled) > WORTH:
            overloaded = _is_overloaded(seen)
            why = "calls were turned away" if settled.turned_away > TURNED_AWAY else "it only queued the calls"
            self._starting = False
            self._settle(seen, why)
            if overloaded:
                self._try(CUT)
        else:  # it was not our doing
            self._go_back(settled)

    def _stay(self, seen: _Round, settled: _Round, calls: int) -> None:
        if _more_turned_away(seen, settled, calls) or seen.latency_s > SLOWER * settled.latency_s:
            self._settled = seen
            self._try(CUT)
            return
        settled.latency_s = (settled.latency_s + seen.latency_s) / 2
        settled.turned_away = (settled.turned_away + seen.turned_away) / 2
        self._stayed += 1
        if self._starting:
            self._try(DOUBLE)
        elif self._stayed >= self._patience:
            self._probe = 1 / self._probe  # up and down in turn
            self._try(self._probe)

    def _trial_after_success(self) -> float:
        return DOUBLE if self._starting else PROBE

    def _try(self, factor: float) -> None:
        level = math.ceil(self.now * factor) if factor > 1 else int(self.now * factor)
        level = max(1, min(self.most, level))
        if level == self.now:
            self._trial = 0.0
            self._starting = False
            return
        self._trial = factor
        self._go_to(level)

    def _settle(self, at: _Round, why: str) -> None:
        moved = self._settled is not None and at.level != self._settled.level
        self._settled = at
        self._trial = 0.0
        self._stayed = 0
        self._go_to(at.level)
        if moved:
            self._patience = PATIENCE[0]
            if self._changed is not None:
                self._changed(at.level, why)

    def _go_back(self, settled: _Round) -> None:
        self._patience = min(2 * self._patience, PATIENCE[1])
        self._settle(settled, "")

    def _go_to(self, level: int) -> None:
        self.now = level
        self._admit()


def _more_turned_away(seen: _Round, settled: _Round, calls: int) -> bool:
    """Tell whether more calls were turned away than chance makes of the usual share."""
    usual = settled.turned_away
    return seen.turned_away > usual + TURNED_AWAY + 2 * math.sqrt(usual * (1 - usual) / calls)


def _is_overloaded(seen: _Round) -> bool:
    return seen.turned_away > TURNED_AWAY


def _elasticity(seen: _Round, settled: _Round) -> float:
    """Return by which power of the level latency moved: 0 if not at all, 1 if calls were only queued."""
    return math.log(max(seen.latency_s, 1e-6) / max(settled.latency_s, 1e-6)) / math.log(seen.level / settled.level)
