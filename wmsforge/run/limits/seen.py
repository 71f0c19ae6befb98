"""What a round of calls at one level tells: how long they took, and how many the server turned away."""

from __future__ import annotations

import math
from bisect import insort

QUARTILE = 0.6745
"""Distance of a normal distribution's quartile from its median, in standard deviations."""


class Seen:
    """A round: the first `size` calls begun at a level.

    It is judged by the median, which is exact as soon as half of the calls have ended and the others are past it:
    neither are the quick ones overrated, nor is a call waited for that hangs. In logarithms, since what counts
    are ratios.

    Args:
        level: Calls in flight at most while these calls were made.
        size: Calls to see.
    """

    def __init__(self, level: int, size: int) -> None:
        self.level = level
        self.size = size
        self._left = size
        self._last_at = 0.0
        self._ended = 0
        self._turned_away = 0
        self._full = 0
        self._logs: list[float] = []
        """Of the seconds of the answers, sorted."""

    def begin(self, now_s: float) -> bool:
        """Tell whether a call that begins now is one of the round."""
        if not self._left:
            return False
        self._left -= 1
        self._last_at = now_s
        return True

    def withdraw(self) -> None:
        """A call of the round says nothing about the level."""
        self.size -= 1

    def end(self, seconds: float | None, *, full: bool) -> None:
        """Count a call of the round.

        Args:
            seconds: How long the answer took; None if the server had no room for it.
            full: Whether every place was taken when it ended.
        """
        self._ended += 1
        self._full += full
        if seconds is None:
            self._turned_away += 1
        else:
            insort(self._logs, math.log(max(seconds, 1e-6)))

    def is_complete(self, now_s: float) -> bool:
        """Whether calls that have not ended can no longer change what the round tells."""
        if self._left:
            return False
        if self._ended >= self.size:
            return True
        middle = self._answers // 2
        return len(self._logs) > middle and now_s - self._last_at >= math.exp(self._logs[middle])

    @property
    def was_full(self) -> bool:
        """Whether the level was what held the calls back."""
        return self._full >= self._ended / 2

    @property
    def share(self) -> float:
        """Of calls turned away, 0..1."""
        return self._turned_away / self.size

    @property
    def latency(self) -> float | None:
        """The logarithm of the median's seconds, None if fewer than half were answered."""
        middle = self._answers // 2
        return self._logs[middle] if middle < len(self._logs) else None

    @property
    def spread(self) -> float:
        """The standard deviation of the logarithms, as the lower half shows it."""
        if self.latency is None:
            return 0.0
        return (self.latency - self._logs[self._answers // 4]) / QUARTILE

    @property
    def doubt(self) -> float:
        """The variance of `latency`."""
        return math.pi / 2 * max(self.spread, 0.05) ** 2 / max(1, self._answers)

    @property
    def _answers(self) -> int:
        """Calls that were answered or will be."""
        return self.size - self._turned_away
