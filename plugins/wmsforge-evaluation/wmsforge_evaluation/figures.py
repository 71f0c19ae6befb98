"""The table of the four variants, from what each of them did with each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wmsforge_evaluation.bootstrap import Interval, bootstrap

VARIANTS = {"base": "base", "base_rag": "base + passages", "tuned": "tuned", "tuned_rag": "tuned + passages"}
"""Keys of the four, with the words of the report."""
MEANS = ("chrf", "rouge_l", "groundedness")


@dataclass(frozen=True)
class Outcome:
    """What one variant did with one row."""

    loss: float
    """Of the whole reference answer, nats."""
    tokens: int
    answer: str
    chrf: float
    rouge_l: float
    groundedness: float | None


Outcomes = Mapping[str, Sequence[Outcome]]
"""By variant, one for each row, in the same order."""


def table(outcomes: Outcomes, *, samples: int, seed: int) -> dict[str, dict[str, Interval | None]]:
    """Return the figures of each variant with their intervals; None for one that could not be measured."""
    return {variant: _figures(rows, samples, seed) for variant, rows in outcomes.items()}


def loss_drop(outcomes: Outcomes, *, samples: int, seed: int, passages: bool = False) -> Interval:
    """Return how far the tuned model's loss is under the base's, as a share of it; 0.25 is a quarter."""
    end = "_rag" if passages else ""
    base, tuned = outcomes[f"base{end}"], outcomes[f"tuned{end}"]

    def drop(numbers: Sequence[int]) -> float:
        return 1 - _loss(tuned, numbers) / _loss(base, numbers)

    return bootstrap(len(base), drop, samples=samples, seed=seed)


def as_json(figures: Mapping[str, Mapping[str, Interval | None]]) -> dict[str, dict[str, Any]]:
    """Return figures as [value, low, high]."""
    return {
        variant: {name: interval.as_list() if interval else None for name, interval in row.items()}
        for variant, row in figures.items()
    }


def _figures(rows: Sequence[Outcome], samples: int, seed: int) -> dict[str, Interval | None]:
    loss = bootstrap(len(rows), lambda numbers: _loss(rows, numbers), samples=samples, seed=seed)
    perplexity = Interval(math.exp(loss.value), math.exp(loss.low), math.exp(loss.high))
    means = {name: _mean(rows, name, samples, seed) for name in MEANS}
    return {"loss": loss, "perplexity": perplexity, **means}


def _loss(rows: Sequence[Outcome], numbers: Sequence[int]) -> float:
    """Return nats a token, every token weighing the same."""
    return sum(rows[n].loss for n in numbers) / sum(rows[n].tokens for n in numbers)


def _mean(rows: Sequence[Outcome], name: str, samples: int, seed: int) -> Interval | None:
    values = [getattr(row, name) for row in rows]
    if any(value is None for value in values):
        return None

    def mean(numbers: Sequence[int]) -> float:
        return float(sum(values[n] for n in numbers) / len(numbers))

    return bootstrap(len(values), mean, samples=samples, seed=seed)
