"""What a component expects to ask models for, so that `wmsforge plan` can quote a run before it begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wmsforge.options import Ref


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, neither below 0; an infinite `high` means that no one knows."""

    low: float = 0.0
    high: float = math.inf

    @classmethod
    def exactly(cls, value: float) -> Range:
        return cls(value, value)

    @property
    def known(self) -> bool:
        return math.isfinite(self.high)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else Range(other, other)
        return Range(self.low * by.low, self.high * by.high if self.high and by.high else 0.0)

    def within(self, bounds: Range) -> Range:
        """Return the range cut to what is possible."""
        low, high = (min(max(value, bounds.low), bounds.high) for value in (self.low, self.high))
        return Range(low, high)


@dataclass(frozen=True)
class Asking:
    """Calls of one model."""

    model: Ref
    """The reference in the component's options."""
    calls: Range
    prompt_chars: Range
    """Characters of one call's messages, and of its schema where the answer is JSON."""
    answer_tokens: Range
    """Tokens of one answer; the upper end is `max_tokens`."""


@dataclass(frozen=True)
class Expected:
    """What a component makes of its items."""

    out: Range
    """Records that come out."""
    asks: tuple[Asking, ...] = ()
