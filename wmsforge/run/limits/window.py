"""An amount that may be used in any 60 seconds: requests, or tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from wmsforge.run.limits.clock import now_s

MINUTE_S = 60.0
SLACK_S = 0.2
"""Added to the minute, since a request reaches the provider a little after it was sent, and not all equally late."""


class Window:
    """A sliding window. Nothing is spread out: what the window has room for may be used at once.

    Args:
        most: What any `MINUTE_S` seconds may hold.
        used: (seconds ago, amount) of what an earlier process used.
    """

    def __init__(self, most: float, used: Iterable[tuple[float, float]] = ()) -> None:
        self._most = most
        now = now_s()
        self._entries = deque([now - ago, amount] for ago, amount in sorted(used, reverse=True))
        self._total = sum(amount for _, amount in self._entries)

    def wait_s(self, amount: float) -> float:
        """Return the seconds until `amount` fits; more than the whole window fits when it is empty."""
        now = now_s()
        while self._entries and self._entries[0][0] <= now - MINUTE_S - SLACK_S:
            self._total -= self._entries.popleft()[1]
        excess = self._total + min(amount, self._most) - self._most
        freed_at = now
        for moment, used in self._entries:
            if excess <= 1e-9:
                break
            excess -= used
            freed_at = moment + MINUTE_S + SLACK_S
        return 0.0 if freed_at == now else max(0.001, freed_at - now)

    def take(self, amount: float) -> list[float]:
        """Use `amount` now; the entry is for `settle`."""
        entry = [now_s(), amount]
        self._entries.append(entry)
        self._total += amount
        return entry

    def settle(self, entry: list[float], amount: float) -> None:
        """Correct what an entry used, once it is known."""
        if self._entries and entry[0] >= self._entries[0][0]:  # else it has left the window
            self._total += amount - entry[1]
        entry[1] = amount
