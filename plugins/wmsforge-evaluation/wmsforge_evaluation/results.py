"""All that was found, as the report and report.json tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wmsforge_evaluation.bootstrap import Bootstrap, Interval
from wmsforge_evaluation.figures import Figures, Outcomes, as_json, loss_drops, table
from wmsforge_evaluation.judge import Judged
from wmsforge_evaluation.subject import Subject


@dataclass(frozen=True)
class Results:
    """The figures of one evaluation."""

    subject: Subject
    figures: Figures
    drops: Mapping[str, Interval | None]
    """As `loss_drops` returns them."""
    hit_rate: Interval | None
    hit_rows: int
    """Rows that name their sources."""
    groups: int
    """Of rows, between which no document section is shared."""
    answered: int
    grounded: int
    """Of the answered rows, those whose question found a passage."""
    judge: str = ""
    judged: Mapping[str, Judged] = field(default_factory=dict)
    """By the tuned variant that was compared with its base."""

    def facts(self) -> dict[str, Any]:
        """Return the figures as [value, low, high], by variant and for their differences, with the counts."""
        judged = {"judge": self.judge} if self.judged else {}
        for variant, told in self.judged.items():
            judged |= told.as_json(variant.removeprefix("tuned"))
        return {
            "rows": len(self.subject.rows),
            "groups": self.groups,
            "checkpoint_rows": self.subject.chose,
            "answered": self.answered,
            "groundedness_rows": self.grounded,
            **as_json(self.drops),
            **as_json({"hit_rate": self.hit_rate}),
            "hit_rate_rows": self.hit_rows,
            **judged,
            **{variant: as_json(row) for variant, row in self.figures.items()},
        }


def summarise(
    subject: Subject,
    outcomes: Outcomes,
    hits: Sequence[bool | None],
    bootstrap: Bootstrap,
    judge: str,
    judged: Mapping[str, Judged],
) -> Results:
    """Return the figures of what was measured row by row."""
    with_passages = outcomes["tuned_rag"]
    return Results(
        subject=subject,
        figures=table(outcomes, bootstrap),
        drops=loss_drops(outcomes, bootstrap),
        hit_rate=bootstrap.mean(hits),
        hit_rows=len(hits) - hits.count(None),
        groups=len(bootstrap.groups),
        answered=sum(row.answer is not None for row in with_passages),
        grounded=sum(row.groundedness is not None for row in with_passages),
        judge=judge,
        judged=judged,
    )
