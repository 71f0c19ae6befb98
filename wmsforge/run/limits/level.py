"""How many calls to have in flight: found by trying, since no provider says it.

More calls at once are worth it while they carry more. Where a server only queues them, each takes longer in
proportion; where it turns them away, the share of those grows. So another level is tried, and kept if it pays:
twice or half as many at first, then a fifth more or fewer now and then, and a third fewer when calls are turned
away or slow down, which stays only if it helped. Latency tells what servers without a 429 never say; calls that
fail or are slow whatever the level (a share of 429 at random, longer answers in the middle of a run) are told
from an overload by what a trial changes, and cost no speed.

The increase is careful and the decrease is not (Chiu and Jain, 1989); where a server begins to queue follows
from Little's law, as throughput at its most times latency at its least (BBR: Cardwell et al., 2016).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

START = 32
"""Calls in flight at first, if as many are allowed."""
ROUND = 32
"""Calls by which a level is judged at least; and twice its own number, or the quick answers alone would be seen."""
LONGEST = 6
"""Times as many calls before a trial is decided by what seems likelier."""
COARSE, FINE, CUT = 2.0, 1.2, 1.5
"""Factors by which a level is tried at first, later, and when something got worse."""
WORTH = 0.6
"""A level is too high if latency moves by more than this power of it: 0 is no queue, 1 is nothing but queue."""
SLOWER = 1.5
"""Times the usual latency from which on a server counts as slowed down."""
TURNED_AWAY = 0.05
"""Share of calls turned away, beyond the usual, that counts as overload."""
PATIENCE = 4, 64
"""Rounds to stay before the next trial: at first, and after many that were not worth it."""


class _Seen:
    """What was seen of calls at one level."""

    def __init__(self, level: int) -> None:
        self.level = level
        self.ended = 0
        self.full = 0
        """Calls that ended while no place was free."""
        self.turned_away = 0
        self.answered = 0
        self._sum = 0.0
        self._squares = 0.0

    def add(self, seconds: float | None, *, turned_away: bool, full: bool) -> None:
        self.ended += 1
        self.full += full
        self.turned_away += turned_away
        if seconds is not None:
            logarithm = math.log(max(seconds, 1e-6))
            self.answered += 1
            self._sum += logarithm
            self._squares += logarithm * logarithm

    @property
    def rounds(self) -> float:
        """How many times enough calls were seen."""
        return self.ended / max(ROUND, 2 * self.level)

    @property
    def says_something(self) -> bool:
        """Whether the level was what held the calls back, and more than a few were answered."""
        return self.full >= self.ended / 2 and self.answered >= self.ended / 4

    @property
    def mean(self) -> float:
        """Of the logarithms of seconds: one very long answer moves it little."""
        return self._sum / self.answered

    @property
    def error(self) -> float:
        """Variance of `mean`."""
        if self.answered < 2:
            return 1.0
        return max(0.0, self._squares / self.answered - self.mean**2) / (self.answered - 1)

    @property
    def share(self) -> float:
        """Of calls turned away, 0..1."""
        return self.turned_away / self.ended

    def blend(self, newer: _Seen) -> None:
        """Let half of what is known be new."""
        for name in ("ended", "full", "turned_away", "answered", "_sum", "_squares"):
            setattr(self, name, (getattr(self, name) + getattr(newer, name)) / 2)


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
        self._round = 0
        self._seen = _Seen(self.now)
        self._settled: _Seen | None = None
        self._trying = False
        self._step = COARSE
        self._up = True
        """Whether the next trial goes up."""
        self._turned = False
        """Whether the trial before went the other way, and was not worth it."""
        self._cutting = False
        self._patience = PATIENCE[0]
        self._stayed = 0

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
        self._seen.add(seconds, turned_away=turned_away, full=full)
        if self._seen.rounds >= 1:
            self._judge(self._seen)

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

    def _judge(self, seen: _Seen) -> None:
        settled = self._settled
        if not seen.says_something:
            self._settle_at(settled or seen, "")
        elif settled is None:
            self._settle_at(seen, "")
            self._cutting = seen.share > TURNED_AWAY
            self._try_next()
        elif not self._trying:
            self._stay(seen, settled)
        elif (worth := self._is_worth_it(seen, settled)) is not None:
            (self._keep if worth else self._go_back)(seen, settled)

    def _is_worth_it(self, seen: _Seen, settled: _Seen) -> bool | None:
        """Judge a trial; None while it may go either way."""
        if seen.level > settled.level and _more_turned_away(seen, settled):
            return False
        if seen.level < settled.level and settled.share > TURNED_AWAY and seen.share < 0.6 * settled.share:
            return True
        scale = math.log(seen.level / settled.level)
        power = (seen.mean - settled.mean) / scale
        doubt = math.sqrt(seen.error + settled.error) / abs(scale)
        if seen.rounds < LONGEST and abs(power - WORTH) < doubt:
            return None
        return (power < WORTH) == (seen.level > settled.level)

    def _keep(self, seen: _Seen, settled: _Seen) -> None:
        up = seen.level > settled.level
        why = "the server carries more" if up else "more calls were turned away" if self._cutting else "it only queued"
        self._settle_at(seen, why)
        self._turned = True  # there is no need to look where we come from
        self._up = up
        self._patience = PATIENCE[0]
        self._try_next()

    def _go_back(self, seen: _Seen, settled: _Seen) -> None:
        tried_up = seen.level > settled.level
        self._settle_at(settled, "")
        if self._cutting:  # it was not our doing
            self._cutting = False
        elif self._step == COARSE and tried_up and not _more_turned_away(seen, settled):
            begins = round(seen.level / math.exp(seen.mean - settled.mean))
            if begins > settled.level * 1.05:
                self._step = FINE
                self._go_to(min(begins, seen.level))
                return
        self._up = not tried_up
        if self._turned:
            self._turned = False
            self._step = FINE
            self._patience = min(2 * self._patience, PATIENCE[1])
        else:
            self._turned = True
            self._try_next()

    def _stay(self, seen: _Seen, settled: _Seen) -> None:
        self._seen = _Seen(self.now)
        if seen.level != settled.level:
            self._settle_at(seen, "")
            return
        if _more_turned_away(seen, settled) or seen.mean > settled.mean + math.log(SLOWER):
            self._settle_at(seen, "")
            self._cutting = True
            self._try_next()
            return
        settled.blend(seen)
        self._stayed += 1
        if self._stayed >= self._patience:
            self._try_next()

    def _try_next(self) -> None:
        factor = 1 / CUT if self._cutting else self._step if self._up else 1 / self._step
        level = math.ceil(self.now * factor) if factor > 1 else int(self.now * factor)
        level = max(1, min(self.most, level))
        self._stayed = 0
        if level == self.now:
            self._up = not self._up
            self._cutting = False
            self._step = FINE
            return
        self._trying = True
        self._go_to(level)

    def _settle_at(self, seen: _Seen, why: str) -> None:
        before = self._settled
        self._settled = seen
        self._trying = False
        self._stayed = 0
        self._go_to(seen.level)
        if why and before is not None and before.level != seen.level and self._changed is not None:
            self._changed(seen.level, why)

    def _go_to(self, level: int) -> None:
        self.now = level
        self._round += 1
        self._seen = _Seen(level)
        self._admit()


def _more_turned_away(seen: _Seen, settled: _Seen) -> bool:
    """Tell whether more calls were turned away than chance makes of the usual share."""
    usual = settled.share
    return seen.share > usual + TURNED_AWAY + 2 * math.sqrt(usual * (1 - usual) / seen.ended)
