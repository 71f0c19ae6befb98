"""An amount that may be used in any 60 seconds: requests, or tokens."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

MINUTE_S = 60.0


class Window:
    """A sliding window. Nothing is spread out: what the window has room for may be used at once.

    Args:
        most: What any `MINUTE_S` seconds may hold.
        used: (seconds ago, amount) of what an earlier process used.
    """

    def __init__(
        self, most: float, used: Iterable[tuple[float, float]] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._clock = clock
        self._total = 0.0
        now = clock()
        self._entries = deque([now - ago, amount] for ago, amount in sorted(used, reverse=True))
        self._total = sum(amount for _, amount in self._entries)

    def wait_s(self, amount: float) -> float:
        """Return the seconds until `amount` fits; more than the whole window fits when it is empty."""
        now = self._clock()
        while self._entries and self._entries[0][0] <= now - MINUTE_S:
            self._total -= self._entries.popleft()[1]
        excess = self._total + min(amount, self._most) - self._most
        if excess <= 0:
            return 0.0
        for moment, used in self._entries:
            excess -= used
            if excess <= 1e-9:
                return max(0.001, moment + MINUTE_S - now)
        return MINUTE_S

    async def enter(self, amount: float) -> list[float]:
        """Wait until `amount` fits and use it; the entry is for `settle`. One caller at a time."""
        while pause_s := self.wait_s(amount):  # noqa: ASYNC110 - what passes here is time, no event tells
            await asyncio.sleep(pause_s)
        return self.take(amount)

    def take(self, amount: float) -> list[float]:
        """Use `amount` now; the entry is for `settle`."""
        entry = [self._clock(), amount]
        self._entries.append(entry)
        self._total += amount
        return entry

    def settle(self, entry: list[float], amount: float) -> None:
        """Correct what an entry used, once it is known."""
        if entry[0] > self._clock() - MINUTE_S:
            self._total += amount - entry[1]
        entry[1] = amount
