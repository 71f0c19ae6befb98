"""Packed rows do not see each other: they are learned as if each stood alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from qlora_doubles import ReportDouble, job


def test_a_packed_row_has_the_loss_that_it_has_alone(
    tmp_path: Path, tiny: Path, rows: Path, report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.adapter import new_adapter
    from wmsforge_qlora.jobs.fit import Fit
    from wmsforge_qlora.jobs.model import load_base, load_config, load_tokenizer
    from wmsforge_qlora.jobs.settings import Job
    from wmsforge_qlora.jobs.template import choose
    from wmsforge_qlora.jobs.training import _rows

    def loss(packing: bool) -> tuple[float, int, int]:
        work = Job.of(job(tmp_path / str(packing), rows, tiny, packing=packing, quantization="none", batch_size=1))
        tokenizer = load_tokenizer(work)
        choose(work, tokenizer, "llama")
        prepared = _rows(work, tokenizer, report)
        fit = Fit(work, new_adapter(work, load_base(work, load_config(work))), tokenizer, prepared, report)
        trainer, model = fit.trainer, fit.trainer.model.eval()
        summed, learned = 0.0, 0
        for batch in trainer.get_train_dataloader():
            labels = int((batch["labels"][:, 1:] != -100).sum())
            summed += float(trainer.compute_loss(model, dict(batch)).detach()) * labels
            learned += labels
        return summed / learned, learned, len(trainer.train_dataset)

    alone, packed = loss(False), loss(True)
    assert packed[1] == alone[1]
    assert packed[2] < alone[2] == 34
    assert packed[0] == pytest.approx(alone[0], rel=2e-3)  # bf16
