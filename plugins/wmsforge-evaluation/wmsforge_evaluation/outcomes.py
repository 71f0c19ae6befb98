"""From what the models wrote to what it is worth, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wmsforge_evaluation.asking import Item
from wmsforge_evaluation.figures import VARIANTS, Outcome
from wmsforge_evaluation.metrics import chrf, groundedness, rouge_l


def outcomes(items: Sequence[Item], told: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Outcome]]:
    """Return by variant one outcome an item.

    Args:
        told: What the job wrote, by `variant-item`.
    """
    return {variant: [_outcome(item, told[f"{variant}-{item.name}"]) for item in items] for variant in VARIANTS}


def _outcome(item: Item, told: Mapping[str, Any]) -> Outcome:
    from wmsforge_korean.morphemes import morphemes

    scores = {name: told[name] for name in ("loss", "tokens", "end_loss", "end_tokens")}
    if told["answer"] is None:
        return Outcome(**scores)
    answer, reference = told["answer"], item.row.reference
    return Outcome(
        **scores,
        answer=answer,
        chrf=chrf(answer, reference),
        rouge_l=rouge_l(morphemes(answer), morphemes(reference)),
        groundedness=groundedness(answer, item.row.question, [one.passage for one in item.passages]),
    )
