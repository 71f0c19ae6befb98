"""What a few real items of a step took, and how far that can be trusted for all of them.

A mean is given with the interval that Student's t distribution gives it at 95 %, and never a narrower one than
from the smallest to the largest item while there are fewer than `MANY`. Shares have Wilson's interval. Counts of
calls are taken as Poisson's, two standard errors wide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from wmsforge.prices import Price
from wmsforge.recipe.quote import Quote
from wmsforge.steps.expect import Range

MANY = 30
_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10)
"""Quantiles of Student's t at 97.5 % by degrees of freedom, from 1 on."""
_T_BEYOND = 2.09
_Z = 1.96


@dataclass(frozen=True)
class Request:
    """One request of a preview that was paid, now or before."""

    model: str
    chars: int
    """Characters of its messages and of its schema."""
    usage: dict[str, int]
    """As `wmsforge.steps.chat_model.Usage` has it."""

    @property
    def prompt_tokens(self) -> int:
        return self.usage["prompt_tokens"]

    @property
    def answer_tokens(self) -> int:
        return self.usage["completion_tokens"] + self.usage["thought_tokens"]


@dataclass(frozen=True)
class Sample:
    """What the items of one step took."""

    items: tuple[tuple[Request, ...], ...]
    """The requests of each item: a task, a question, a record to judge."""
    records: int
    """Records that came out; questions also when a preview had no room for them."""

    @property
    def kept(self) -> Range:
        """Return the share of items that gave a record."""
        return share_range(self.records, len(self.items))

    @property
    def models(self) -> set[str]:
        return {request.model for item in self.items for request in item}

    def quote(self, step: str, model: str, price: Price | None, items: Range) -> Quote:
        """Return what so many items will take, each like those of the sample."""
        per_item = [[request for request in item if request.model == model] for item in self.items]

        def whole(values: Sequence[float]) -> Range:
            return items * mean_range(values)

        return Quote(
            step,
            model,
            whole([len(item) for item in per_item]),
            whole([sum(request.prompt_tokens for request in item) for item in per_item]),
            whole([sum(request.answer_tokens for request in item) for item in per_item]),
            None if price is None else whole([sum(price.cost_usd(each.usage) for each in item) for item in per_item]),
        )

    def calls_a_record(self, model: str) -> Range:
        """Return the calls that each record took."""
        calls = len(self._requests(model))
        return Range(max(0.0, calls - 2 * math.sqrt(calls)), calls + 2 * math.sqrt(calls)) * (1 / max(1, self.records))

    def tokens_a_char(self, model: str) -> Range:
        """Return the tokens that a character of a prompt made."""
        told = [request for request in self._requests(model) if request.chars and request.prompt_tokens]
        ratios = [request.prompt_tokens / request.chars for request in told]
        return Range(0.9 * min(ratios), 1.1 * max(ratios)) if ratios else Range()

    def answer_tokens(self, model: str) -> Range:
        """Return the tokens of one answer."""
        return mean_range([request.answer_tokens for request in self._requests(model)])

    def _requests(self, model: str) -> list[Request]:
        return [request for item in self.items for request in item if request.model == model]


def mean_range(values: Sequence[float]) -> Range:
    """Return where the mean of all items is, by that of a sample; a single value may be half or double the mean."""
    if not values:
        return Range()
    if len(values) == 1:
        return Range(values[0] / 2, values[0] * 2)
    mean, free = fmean(values), len(values) - 1
    error = (_T[free - 1] if free <= len(_T) else _T_BEYOND) * stdev(values) / math.sqrt(len(values))
    low, high = mean - error, mean + error
    if len(values) < MANY:
        low, high = min(low, *values), max(high, *values)
    return Range(max(0.0, low), high)


def share_range(good: int, of: int) -> Range:
    """Return where a share is, by a sample of `of` in which `good` were so: Wilson's interval at 95 %."""
    if not of:
        return Range(0, 1)
    share, z2 = good / of, _Z**2
    centre = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return Range(max(0.0, centre - half) if good else 0.0, min(1.0, centre + half) if good < of else 1.0)
