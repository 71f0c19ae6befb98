"""How many calls are in flight: a semaphore that finds its own size."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.search import Search

NO_ROUND = -1
"""The round of calls that say nothing about the level."""


class Level:
    """A semaphore that finds its own size, see `wmsforge.run.limits.search`.

    Args:
        most: Calls in flight at most.
        fixed: Keep it at `most`.
        changed: Told the new level and why, when it goes to another.
    """

    def __init__(self, most: int, *, fixed: bool = False, changed: Callable[[int, str], None] | None = None) -> None:
        self.most = most
        self.in_flight = 0
        self._search = None if fixed else Search(most)
        self.now = most if self._search is None else self._search.level
        self._changed = changed
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._again: deque[asyncio.Future[int]] = deque()
        self._round = 0
        self._seen = None if self._search is None else self._search.round()

    async def acquire(self, *, again: bool = False) -> int:
        """Wait for a place, first come, first served; gives the round that the call belongs to.

        Args:
            again: Whether the call was tried before. It goes first: a call that fails several times would else
                wait in the queue as often, and be the last of the run.
        """
        if self.in_flight < self.now and not self._waiting and not self._again:
            return self._take()
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        (self._again if again else self._waiting).append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.release(place.result())
            raise

    def release(self, round: int, seconds: float | None = None, *, turned_away: bool = False) -> None:
        """Give the place back, with what came of the call.

        Args:
            round: What `acquire` gave.
            seconds: How long the answer took, None if there was none.
            turned_away: Whether the server had no room for the call.
        """
        full = self.in_flight >= self.now
        self.in_flight -= 1
        if self._seen is not None and round == self._round:
            if seconds is None and not turned_away:
                self._seen.withdraw()
            else:
                self._seen.end(seconds, full=full)
        self._admit()
        if self._search is not None and self._seen is not None and self._search.is_over(self._seen, now_s()):
            why = self._search.judge(self._seen)
            self._begin_round(self._search, why)

    def _begin_round(self, search: Search, why: str) -> None:
        changed = search.level != self.now
        self._round += 1
        self._seen = search.round()
        self.now = search.level
        self._admit()
        if changed and why and self._changed is not None:
            self._changed(self.now, why)

    def _take(self) -> int:
        self.in_flight += 1
        return self._round if self._seen is not None and self._seen.begin(now_s()) else NO_ROUND

    def _admit(self) -> None:
        while (queue := self._again or self._waiting) and self.in_flight < self.now:
            place = queue.popleft()
            if not place.done():
                place.set_result(self._take())
