"""The evaluator `row-counter`."""

from __future__ import annotations

import json

from wmsforge.records import Artifact
from wmsforge.steps.evaluator import Evaluator
from wmsforge_fixture.rows import dataset_rows


class RowCounter(Evaluator):
    """Reports how many rows a dataset has and how long they are."""

    async def evaluate(self, subject: Artifact) -> Artifact:
        rows = dataset_rows(subject)
        mean = sum(map(len, rows)) / len(rows) if rows else 0.0
        facts = {"rows": len(rows), "mean_characters": round(mean, 1)}
        report = self.context.folder / "report.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(facts), encoding="utf-8")
        return Artifact(kind="report", path=str(report), facts=facts)
