"""How sure a figure is: the percentile bootstrap over groups of rows that hang together."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True)
class Interval:
    """A figure with the middle 95 % of what other samples of as many groups would give."""

    value: float
    low: float | None
    """None, as `high`, where one group is all there is: nothing says how others would differ."""
    high: float | None

    def as_list(self) -> list[float | None]:
        return [None if end is None else round(end, 4) for end in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class Bootstrap:
    """Draws whole groups: rows about one passage are easy or hard together, so they are no separate witnesses.

    Source: Field and Welsh (2007), the cluster bootstrap.
    """

    groups: Sequence[Sequence[int]]
    """Numbers of the rows."""
    samples: int
    seed: int

    def interval(self, figure: Callable[[Sequence[int]], float]) -> Interval:
        """Return a figure of all rows with its 95 % interval.

        Args:
            figure: Returns the figure of the rows with these numbers; the same row may come several times. Figures
                that compare two models see the same rows of both, so their interval is that of paired differences.
        """
        value = figure(_rows(self.groups))
        if len(self.groups) < 2:
            return Interval(value, None, None)
        drawn = random.Random(self.seed)
        count = len(self.groups)
        found = sorted(figure(_rows(drawn.choices(self.groups, k=count))) for _ in range(self.samples))
        edge = round(self.samples * 0.025)
        return Interval(value, found[edge], found[-1 - edge])

    def mean(self, values: Sequence[float | None]) -> Interval | None:
        """Return the mean over the rows that have a value; None if none has."""
        having = [[number for number in group if values[number] is not None] for group in self.groups]
        kept = Bootstrap([group for group in having if group], self.samples, self.seed)
        if not kept.groups:
            return None
        return kept.interval(lambda numbers: sum(values[number] or 0.0 for number in numbers) / len(numbers))


def _rows(groups: Sequence[Sequence[int]]) -> list[int]:
    return list(chain.from_iterable(groups))
