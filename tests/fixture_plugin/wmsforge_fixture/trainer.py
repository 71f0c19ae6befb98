"""The trainer `count-trainer`."""

from __future__ import annotations

import json
from collections import Counter

from pydantic import Field

from wmsforge.options import Options as BaseOptions
from wmsforge.records import Artifact
from wmsforge.steps.trainer import Trainer
from wmsforge_fixture.rows import dataset_rows


class CountTrainer(Trainer):
    """Writes how often each word stands in the dataset: as much learning as fits a test."""

    class Options(BaseOptions):
        epochs: int = Field(default=1, ge=1, description="How often every row is counted.")

    options: Options

    async def train(self, dataset: Artifact) -> Artifact:
        rows = dataset_rows(dataset)
        counts = Counter(word for row in rows for word in row.split())
        weights = {word: count * self.options.epochs for word, count in sorted(counts.items())}
        folder = self.context.folder
        folder.mkdir(parents=True, exist_ok=True)
        adapter = folder / "adapter.json"
        adapter.write_text(json.dumps(weights, ensure_ascii=False), encoding="utf-8")
        return Artifact(kind="adapter", path=str(folder), facts={"rows": len(rows), "words": len(weights)})
