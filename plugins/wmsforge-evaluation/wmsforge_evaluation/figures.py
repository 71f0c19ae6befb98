"""The table of the four variants, from what each of them did with each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wmsforge_evaluation.bootstrap import Bootstrap, Interval

VARIANTS = {"base": "base", "base_rag": "base + passages", "tuned": "tuned", "tuned_rag": "tuned + passages"}
"""Keys of the four, with the words of the report."""
LOSSES = {"loss": "all tokens", "content_loss": "content", "end_loss": "end tokens"}
"""Parts of a reference answer: the whole, what it says, and the tokens by which its turn ends."""
MEANS = ("chrf", "rouge_l", "groundedness")


@dataclass(frozen=True)
class Outcome:
    """What one variant did with one row; losses are sums over the reference answer's tokens, in nats."""

    loss: float
    tokens: int
    end_loss: float
    """Of the tokens after the text, such as an end of turn; they are among `loss` and `tokens`."""
    end_tokens: int
    answer: str | None = None
    """None where it was not asked for, as then the figures of it."""
    chrf: float | None = None
    rouge_l: float | None = None
    groundedness: float | None = None
    """None without passages, too."""

    def part(self, name: str) -> tuple[float, int]:
        """Return the loss and the tokens of one of LOSSES."""
        end = self.end_loss, self.end_tokens
        content = self.loss - self.end_loss, self.tokens - self.end_tokens
        return {"loss": (self.loss, self.tokens), "content_loss": content, "end_loss": end}[name]


Outcomes = Mapping[str, Sequence[Outcome]]
"""By variant, one for each row, in the same order."""
Figures = Mapping[str, Mapping[str, Interval | None]]
"""By variant, then by figure; None for one that could not be measured."""


def table(outcomes: Outcomes, bootstrap: Bootstrap) -> dict[str, dict[str, Interval | None]]:
    """Return the figures of each variant with their intervals."""
    return {variant: _figures(rows, bootstrap) for variant, rows in outcomes.items()}


def loss_drops(outcomes: Outcomes, bootstrap: Bootstrap) -> dict[str, Interval | None]:
    """Return how far the tuned model's losses are under the base's, as shares of them; 0.25 is a quarter.

    Keys are those of LOSSES with `_drop`, and again with `_drop_rag` for the variants with passages.
    """
    return {
        f"{name}_drop{end}": _drop(outcomes[f"base{end}"], outcomes[f"tuned{end}"], name, bootstrap)
        for end in ("", "_rag")
        for name in LOSSES
    }


def as_json(figures: Mapping[str, Interval | None]) -> dict[str, Any]:
    """Return figures as [value, low, high]."""
    return {name: interval.as_list() if interval else None for name, interval in figures.items()}


def _figures(rows: Sequence[Outcome], bootstrap: Bootstrap) -> dict[str, Interval | None]:
    losses = {name: _loss_interval(rows, name, bootstrap) for name in LOSSES}
    means = {name: bootstrap.mean([getattr(row, name) for row in rows]) for name in MEANS}
    return {**losses, "perplexity": _exp(losses["loss"]), **means}


def _loss_interval(rows: Sequence[Outcome], name: str, bootstrap: Bootstrap) -> Interval | None:
    if not any(row.part(name)[1] for row in rows):
        return None
    return bootstrap.interval(lambda numbers: _loss(rows, name, numbers))


def _drop(base: Sequence[Outcome], tuned: Sequence[Outcome], name: str, bootstrap: Bootstrap) -> Interval | None:
    if not any(row.part(name)[1] for row in base):
        return None

    def drop(numbers: Sequence[int]) -> float:
        before = _loss(base, name, numbers)
        return 1 - _loss(tuned, name, numbers) / before if before else 0.0  # nothing is left to drop

    return bootstrap.interval(drop)


def _loss(rows: Sequence[Outcome], name: str, numbers: Sequence[int]) -> float:
    """Return nats a token, every token weighing the same."""
    parts = [rows[number].part(name) for number in numbers]
    return sum(loss for loss, _ in parts) / sum(tokens for _, tokens in parts)


def _exp(loss: Interval | None) -> Interval | None:
    if loss is None:
        return None
    low, high = (None if end is None else math.exp(end) for end in (loss.low, loss.high))
    return Interval(math.exp(loss.value), low, high)
