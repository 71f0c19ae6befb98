"""Ways to make one score a passage out of several rankings. A ranking is best first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from wmsforge.records import Retrieved

Ranking = Sequence[Retrieved]


def by_score(rankings: Sequence[Ranking], weights: Sequence[float]) -> dict[str, float]:
    """Return passage id -> weighted mean of the rankings' scores, 0..1.

    A ranking's scores are scaled so that its best passage has 1 and its last 0; a passage it did not
    find has 0 too. Unlike ranks, that keeps how far apart two passages are.

    Source: Bruch, Gai and Ingber (2023), An Analysis of Fusion Functions for Hybrid Retrieval.
    """
    total = sum(weights)
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking, weight in zip(rankings, weights, strict=True):
        if not ranking:
            continue
        best, last = ranking[0].score, ranking[-1].score
        for hit in ranking:
            scaled = (hit.score - last) / (best - last) if best > last else 1.0
            scores[hit.passage.id] += weight / total * scaled
    return dict(scores)


def by_rank(rankings: Sequence[Ranking], weights: Sequence[float], constant: int) -> dict[str, float]:
    """Return passage id -> sum over the rankings of weight / (constant + rank), ranks from 1.

    Source: Cormack, Clarke and Buettcher (2009), reciprocal rank fusion.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, hit in enumerate(ranking, start=1):
            scores[hit.passage.id] += weight / (constant + rank)
    return dict(scores)
