"""The component with its job: dataset in, adapter out, in one process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import ReportDouble, conversation, require
from wmsforge_qlora.options import QloraOptions
from wmsforge_qlora.trainer import QloraTrainer

from wmsforge.env.worker import JobError
from wmsforge.records import Artifact
from wmsforge.testing import LocalContext


@dataclass
class HereContext(LocalContext):
    """A context whose environments are this process."""

    report: ReportDouble = field(default_factory=ReportDouble)

    async def environment(self, name: str, env: Any) -> HereContext:
        return self

    async def run(self, job: str, data: dict[str, Any], *, on_progress: Any = None, out_of_memory: str = "") -> Any:
        module, _, function = job.partition(":")
        result = getattr(import_module(module), function)(json.loads(json.dumps(data)), self.report)
        return json.loads(json.dumps(result))


@pytest.fixture
def context(tmp_path: Path) -> HereContext:
    require()
    return HereContext(tmp_path / "work", step="tuned", seed=3)


OPTIONS = {"preset": "cpu", "chat_template": "gemma", "learning_rate": 1e-2, "lora_rank": 4, "threads": 1}


async def test_a_dataset_becomes_an_adapter_and_the_same_call_again_finds_it(
    context: HereContext, tiny: Path, rows: Path
) -> None:
    dataset = Artifact(kind="dataset", path=str(rows), facts={"rows": 42})
    trainer = QloraTrainer(QloraOptions(base=str(tiny), **OPTIONS), context)
    adapter = await trainer.train(dataset)
    assert adapter.facts["eval_loss"] < 0.75 * adapter.facts["eval_loss_base"]
    assert (adapter.facts["rows"], adapter.facts["held_out_rows"]) == (38, 4)
    assert "the preset sets batch_size: 4" in context.report.notes[0]
    last = context.report.steps[-1]
    assert last["done"] == last["total"] == adapter.facts["steps"]
    assert {"loss", "eval_loss", "tokens_per_s", "seconds_left"} <= last.keys()
    context.report.steps.clear()
    assert await trainer.train(dataset) == adapter
    assert not context.report.steps


async def test_rows_that_are_30_percent_too_long_fail_before_training_and_truncate_tells_the_cut(
    context: HereContext, tiny: Path, tmp_path: Path
) -> None:
    """What issue 4 must show, number 5."""
    turns = [conversation(number) for number in range(20)]
    for row in turns[:6]:
        row[1]["content"] *= 60
    path = tmp_path / "long.json"
    path.write_text(json.dumps([{"messages": row} for row in turns]), encoding="utf-8")
    dataset = Artifact(kind="dataset", path=str(path), facts={"rows": 20})
    with pytest.raises(JobError, match=r"6 of 20 rows \(30\.0%\) cannot be trained on: too_long 6; the limit is 1\.0%"):
        await QloraTrainer(QloraOptions(base=str(tiny), **OPTIONS), context).train(dataset)
    assert not context.report.steps
    cut = await QloraTrainer(QloraOptions(base=str(tiny), truncate=True, epochs=0.5, **OPTIONS), context).train(dataset)
    assert cut.facts["truncated_rows"] == 6
    assert any(
        note.startswith(f"truncate: {cut.facts['truncated_tokens']:,} tokens of 6 rows are cut at 512")
        for note in context.report.notes
    )
