"""A killed training goes on from its last whole checkpoint by the same job, to the same adapter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import ReportDouble, job, place, require
from qlora_kills import train_until

from wmsforge.env.worker import JobError


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory, tiny: Path, rows: Path) -> dict[str, Any]:
    """A training that nothing killed: its job's result."""
    require()
    from wmsforge_qlora.jobs.train import train

    return train(job(tmp_path_factory.mktemp("unharmed"), rows, tiny, threads=1), ReportDouble())


def weights(adapter: str) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(Path(adapter) / "adapter_model.safetensors")


def assert_same(result: dict[str, Any], unharmed: dict[str, Any]) -> None:
    found, right = weights(result["adapter"]), weights(unharmed["adapter"])
    assert found.keys() == right.keys()
    assert max(float((found[name] - right[name]).abs().max()) for name in right) < 1e-5
    for name in ("steps", "tokens", "best_step", "curve", "rows", "eval_loss_base"):
        assert result["facts"][name] == unharmed["facts"][name], name
    assert result["facts"]["eval_loss"] == pytest.approx(unharmed["facts"]["eval_loss"], abs=1e-5)


def test_killed_three_times_and_once_while_saving_the_adapter_it_ends_with_the_same(
    tmp_path: Path, tiny: Path, rows: Path, unharmed: dict[str, Any], report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    data = job(tmp_path / "killed", rows, tiny, threads=1)
    for where in ("step 2", "step 7", "step 13", "adapter"):
        assert train_until(data, where) == -9
    result = train(data, report)
    assert result["facts"]["resumed_at_step"] == 18
    assert_same(result, unharmed)


@pytest.mark.parametrize(("where", "goes_on_at"), [("saving 8", 4), ("unmarked 8", 4), ("saving 4", None)])
def test_a_torn_checkpoint_is_skipped(
    tmp_path: Path,
    tiny: Path,
    rows: Path,
    unharmed: dict[str, Any],
    report: ReportDouble,
    where: str,
    goes_on_at: int | None,
) -> None:
    from wmsforge_qlora.jobs.train import train

    data = job(tmp_path / "torn", rows, tiny, threads=1)
    assert train_until(data, where) == -9
    assert (tmp_path / "torn" / "checkpoints" / f"checkpoint-{where.split()[1]}").exists()
    result = train(data, report)
    assert result["facts"]["resumed_at_step"] == goes_on_at
    assert_same(result, unharmed)


def test_a_finished_training_is_not_done_again(
    tiny: Path, rows: Path, unharmed: dict[str, Any], report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    folder = Path(unharmed["adapter"]).parent
    again = train(job(folder, rows, tiny, threads=1), report)
    assert again == unharmed
    assert not report.steps


def test_a_cancelled_training_saves_where_it_is_and_goes_on_there(
    tmp_path: Path, tiny: Path, rows: Path, unharmed: dict[str, Any], report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    data = job(tmp_path / "cancelled", rows, tiny, threads=1)
    report.at_step = lambda step: setattr(report, "stop_requested", step >= 6)
    with pytest.raises(JobError, match=r"stopped at step 6 of 18\.\nIts checkpoint is kept"):
        train(data, report)
    result = train(data, ReportDouble())
    assert result["facts"]["resumed_at_step"] == 6
    assert_same(result, unharmed)


def test_the_state_of_a_checkpoint_given_by_the_recipe_is_continued(
    tmp_path: Path, tiny: Path, rows: Path, unharmed: dict[str, Any], report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    assert train_until(job(tmp_path / "first", rows, tiny, threads=1), "step 13") == -9
    given = tmp_path / "given" / "checkpoint-12"
    shutil.copytree(tmp_path / "first" / "checkpoints" / "checkpoint-12", given)
    data = job(tmp_path / "second", rows, tiny, threads=1, resume_from=place(given), resume="state")
    result = train(data, report)
    assert f"continues the state of {given}" in report.notes
    assert report.steps[0]["done"] == 13
    assert_same(result, unharmed)


def test_what_a_result_tells(unharmed: dict[str, Any], rows: Path) -> None:
    facts, adapter = unharmed["facts"], Path(unharmed["adapter"])
    assert facts["eval_loss"] < 0.75 * facts["eval_loss_base"]
    assert facts["rows"] + facts["held_out_rows"] + facts["not_trained_rows"] == 42
    assert facts["curve"][-1]["step"] == facts["steps"] == 18
    assert min(point["eval_loss"] for point in facts["curve"]) == pytest.approx(facts["eval_loss"], abs=1e-4)
    assert (facts["template"], facts["quantization"], facts["base_identity"]) == ("gemma", "nf4", "sha256:test")
    assert json.loads((adapter / "wmsforge.json").read_text(encoding="utf-8"))["eval_loss"] == facts["eval_loss"]
    assert "{%- generation -%}" in (adapter / "chat_template.jinja").read_text(encoding="utf-8")
    assert "{%- if true -%}" in (adapter / "serving_template.jinja").read_text(encoding="utf-8")
    assert list(Path(facts["tensorboard"]).glob("events.out.tfevents.*"))
    assert not (adapter.parent / "checkpoints").exists()
