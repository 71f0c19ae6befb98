"""Several devices: the command that starts the ranks, and what passes between them and the job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import ReportDouble, job, require
from wmsforge_qlora.jobs import launch
from wmsforge_qlora.jobs.settings import Job
from wmsforge_qlora.jobs.train import train

from wmsforge.env.worker import JobError

LOUD = """
import sys
from pathlib import Path
from wmsforge_qlora.jobs.rank import RankReport
folder = Path(sys.argv[1])
report = RankReport(folder)
report.note("한 줄")
report.warn("careful")
report.progress(1, 2, loss=0.5)
if {wait}:
    while not report.stop_requested:
        pass
(folder / "{file}").write_text('{content}')
sys.exit({code})
"""


def rank_that(
    monkeypatch: pytest.MonkeyPatch, file: str = "x", content: str = "", code: int = 0, wait: bool = False
) -> None:
    """Put a program in the place of accelerate and its ranks."""
    program = LOUD.format(file=file, content=content, code=code, wait=wait)
    monkeypatch.setattr(launch, "command", lambda job, folder: [sys.executable, "-c", program, str(folder)])
    monkeypatch.delenv("LOCAL_RANK", raising=False)


def work(tmp_path: Path, **settings: Any) -> dict[str, Any]:
    return job(tmp_path / "out", tmp_path / "rows.json", tmp_path, devices=2, **settings)


def test_accelerate_accepts_the_command(tmp_path: Path) -> None:
    require()
    from accelerate.commands.launch import launch_command_parser

    argv = launch.command(Job.of(work(tmp_path, activation_checkpointing=True)), tmp_path / "ranks")
    assert argv[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    found = launch_command_parser().parse_args(argv[3:])
    assert (found.num_processes, found.use_fsdp, found.mixed_precision) == (2, True, "bf16")
    assert (found.fsdp_sharding_strategy, found.fsdp_activation_checkpointing) == ("FULL_SHARD", "true")
    assert found.fsdp_state_dict_type == "FULL_STATE_DICT"
    assert (found.module, found.training_script) == (True, "wmsforge_qlora.jobs.rank")
    assert found.training_script_args == [str(tmp_path / "ranks")]


def test_what_the_first_rank_reports_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: ReportDouble
) -> None:
    rank_that(monkeypatch, launch.RESULT, '{"adapter": "a"}')
    data = work(tmp_path)
    assert train(data, report) == {"adapter": "a"}
    assert (report.notes, report.warnings) == (["한 줄"], ["careful"])
    assert report.steps == [{"done": 1, "total": 2, "unit": "steps", "loss": 0.5}]
    assert json.loads((tmp_path / "out" / "ranks" / launch.JOB).read_text(encoding="utf-8")) == data


def test_a_cancelled_run_stops_the_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: ReportDouble) -> None:
    rank_that(monkeypatch, launch.ERROR, '{"kind": "user", "message": "stopped"}', code=1, wait=True)
    report.stop_requested = True
    with pytest.raises(JobError, match=r"^stopped$"):
        train(work(tmp_path), report)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ('{"kind": "user", "message": "two lines"}', JobError),
        ('{"kind": "memory", "message": "CUDA"}', MemoryError),
    ],
)
def test_errors_of_a_rank_are_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: ReportDouble, content: str, error: type[Exception]
) -> None:
    rank_that(monkeypatch, launch.ERROR, content, code=1)
    with pytest.raises(error, match=json.loads(content)["message"]):
        train(work(tmp_path), report)


def test_ranks_that_end_without_a_word_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: ReportDouble
) -> None:
    rank_that(monkeypatch, code=3)
    with pytest.raises(RuntimeError, match="accelerate ended with exit code 3"):
        train(work(tmp_path), report)


@pytest.mark.slow
def test_two_ranks_train_together(
    tmp_path: Path, tiny: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, report: ReportDouble
) -> None:
    """The edge of what a machine without GPUs can do: the ranks themselves, by torchrun and without shards."""
    data = job(tmp_path / "out", rows, tiny, epochs=0.6, eval_every_steps=2, quantization="none", devices=2)
    program = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "0"]
    rank = ["-m", "wmsforge_qlora.jobs.rank"]
    monkeypatch.setattr(launch, "command", lambda job, folder: [*program, *rank, str(folder)])
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    facts = train(data, report)["facts"]
    assert facts["steps"] == 3  # 34 rows, 2 ranks of 4 rows: 5 steps an epoch
    assert facts["eval_loss"] < facts["eval_loss_base"]
    assert report.steps[-1]["done"] == 3
