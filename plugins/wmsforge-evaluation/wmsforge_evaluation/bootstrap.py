"""How sure a figure is: the percentile bootstrap over rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A figure with the middle 95 % of what other samples of as many rows would give."""

    value: float
    low: float
    high: float

    def as_list(self) -> list[float]:
        return [round(self.value, 4), round(self.low, 4), round(self.high, 4)]


def bootstrap(rows: int, figure: Callable[[Sequence[int]], float], *, samples: int, seed: int) -> Interval:
    """Return a figure of all rows with its 95 % interval.

    Args:
        rows: How many rows there are.
        figure: Returns the figure of the rows with these numbers; the same row may come several times. Figures that
            compare two models see the same rows of both, so their interval is that of paired differences.
    """
    drawn = random.Random(seed)
    found = sorted(figure(drawn.choices(range(rows), k=rows)) for _ in range(samples))
    edge = round(samples * 0.025)
    return Interval(figure(range(rows)), found[edge], found[-1 - edge])
