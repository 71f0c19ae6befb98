"""Training on from an adapter that exists, and what is refused before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import ReportDouble, job, place, require

from wmsforge.env.worker import JobError


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny: Path, rows: Path) -> Path:
    """An adapter that was trained on the tiny base for six steps."""
    require()
    from wmsforge_qlora.jobs.train import train

    data = job(tmp_path_factory.mktemp("first"), rows, tiny, epochs=0.6, eval_every_steps=3)
    return Path(train(data, ReportDouble())["adapter"])


def foreign(adapter: Path, folder: Path, base_named: str = "") -> Path:
    """Return a copy of an adapter as others save it: without our facts."""
    folder.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (folder / name).write_bytes((adapter / name).read_bytes())
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_named
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def test_a_training_on_an_adapter_starts_at_its_loss_and_keeps_its_shape(
    tmp_path: Path, tiny: Path, rows: Path, adapter: Path, report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    first = json.loads((adapter / "wmsforge.json").read_text(encoding="utf-8"))
    data = job(tmp_path / "on", rows, tiny, resume_from=place(adapter), lora_rank=4, epochs=0.6, eval_every_steps=3)
    facts = train(data, report)["facts"]
    assert facts["eval_loss_base"] == pytest.approx(first["eval_loss_base"], abs=1e-5)
    assert facts["eval_loss_start"] == pytest.approx(first["eval_loss"], abs=0.02)  # it was saved in fp32, as trained
    assert facts["eval_loss"] < facts["eval_loss_start"]
    config = json.loads((tmp_path / "on" / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["r"] == 8  # its own, whatever the settings say


def refused(folder: Path, rows: Path, base: Path, place_of_adapter: dict[str, Any], **changes: Any) -> str:
    from wmsforge_qlora.jobs.train import train

    data = job(folder, rows, base, resume_from=place_of_adapter)
    data["base"] |= changes
    report = ReportDouble()
    with pytest.raises(JobError) as raised:
        train(data, report)
    assert not report.steps
    return str(raised.value)


def test_an_adapter_of_ours_that_was_trained_on_other_weights_is_refused(
    tmp_path: Path, tiny: Path, rows: Path, adapter: Path
) -> None:
    message = refused(tmp_path / "out", rows, tiny, place(adapter), identity="sha256:other")
    assert message == (
        f"Step 'tuned': the adapter {adapter} was trained on {tiny}, the base here is {tiny}.\n"
        f"Train on its own base: --set steps.tuned.base={tiny}"
    )


def test_an_adapter_whose_shapes_do_not_fit_is_refused_with_the_first_layer(
    tmp_path: Path, tiny: Path, rows: Path, adapter: Path
) -> None:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig.from_pretrained(tiny, intermediate_size=192)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "wide")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path / "wide")
    theirs = foreign(adapter, tmp_path / "theirs")
    message = refused(tmp_path / "out", rows, tmp_path / "wide", place(theirs))
    assert f"the adapter {theirs} does not fit {tmp_path / 'wide'}: model.layers.0.mlp.down_proj takes 192" in message
    assert "(and 5 more of 28 matrices)" in message


def test_hub_names_tell_another_base(tmp_path: Path, tiny: Path, adapter: Path, report: ReportDouble) -> None:
    from wmsforge_qlora.jobs.adapter import check_base
    from wmsforge_qlora.jobs.settings import Job

    theirs = foreign(adapter, tmp_path / "theirs", "upstage/SOLAR-10.7B-v1.0")
    data = job(tmp_path / "out", tmp_path, tiny, resume_from=place(theirs))
    data["base"] |= {"local": False, "name": "upstage/SOLAR-10.7B-Instruct-v1.0"}
    with pytest.raises(JobError, match=r"(?s)was trained on upstage/SOLAR-10.7B-v1.0.*base=upstage/SOLAR-10.7B-v1.0"):
        check_base(Job.of(data), theirs, report)
    data["base"] |= {"name": "upstage/SOLAR-10.7B-v1.0"}
    check_base(Job.of(data), theirs, report)
    data["base"] |= {"local": True, "name": "/models/solar"}
    check_base(Job.of(data), theirs, report)
    assert report.notes == [
        f"{theirs} names upstage/SOLAR-10.7B-v1.0; only its shapes were compared with /models/solar"
    ]


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path, tiny: Path, rows: Path) -> None:
    require()
    (tmp_path / "empty").mkdir()
    message = refused(tmp_path / "out", rows, tiny, place(tmp_path / "empty"))
    assert "has no adapter_config.json and adapter_model.safetensors.\nName an adapter that PEFT saved" in message


def test_a_checkpoint_inside_a_hub_repository_is_fetched_alone(
    tmp_path: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from wmsforge_qlora.jobs.adapter import fetch
    from wmsforge_qlora.jobs.settings import Job

    asked: list[Any] = []

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        if revision == "gone":
            raise OSError("404 Client Error\nmore")
        foreign(adapter, tmp_path / "checkpoint-1000")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    hub = {**place("someone/wms"), "inner": "checkpoint-1000", "local": False, "name": "someone/wms/checkpoint-1000"}
    work = Job.of(job(tmp_path / "out", tmp_path, tmp_path, resume_from=hub))
    assert work.resume_from is not None
    assert fetch(work, work.resume_from) == tmp_path / "checkpoint-1000"
    assert asked == [("someone/wms", None, ["checkpoint-1000/*"])]
    gone = Job.of(job(tmp_path / "out", tmp_path, tmp_path, resume_from={**hub, "revision": "gone"}))
    assert gone.resume_from is not None
    with pytest.raises(JobError, match=r"someone/wms/checkpoint-1000 cannot be fetched: OSError: 404 Client Error\n"):
        fetch(gone, gone.resume_from)


def test_a_tracker_that_is_not_installed_is_named_with_the_way_to_install_it(
    tmp_path: Path, tiny: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    from wmsforge_qlora.jobs.train import train

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else find(name))
    with pytest.raises(JobError, match=r"tracker mlflow is not installed .*\nInstall it there: .* pip install mlflow"):
        train(job(tmp_path / "out", rows, tiny, tracker="mlflow"), ReportDouble())


def test_an_adapter_without_the_state_of_its_training_cannot_be_continued(
    tmp_path: Path, tiny: Path, rows: Path, adapter: Path
) -> None:
    from wmsforge_qlora.jobs.train import train

    data = job(tmp_path / "out", rows, tiny, resume_from=place(adapter), resume="state")
    with pytest.raises(JobError, match=r"has no trainer_state.json, .*\n.*--set steps.tuned.resume=weights"):
        train(data, ReportDouble())


def test_a_base_that_is_not_there_is_refused(tmp_path: Path, rows: Path) -> None:
    require()
    (tmp_path / "nothing").mkdir()
    from wmsforge_qlora.jobs.train import train

    with pytest.raises(JobError, match=r"Step 'tuned': the base .*nothing cannot be loaded: .*\n.*HF_TOKEN"):
        train(job(tmp_path / "out", rows, tmp_path / "nothing"), ReportDouble())


def test_names_of_layers_that_the_base_lacks_are_refused(tmp_path: Path, tiny: Path, rows: Path) -> None:
    from wmsforge_qlora.jobs.train import train

    with pytest.raises(JobError, match=r"lora_targets \['c_attn'\] do not fit .*\n.*lora_targets=all-linear"):
        train(job(tmp_path / "out", rows, tiny, lora_targets=["c_attn"]), ReportDouble())


def test_small_steps_are_not_rounded_away(tmp_path: Path, tiny: Path, rows: Path) -> None:
    """In bf16 a weight of 0.1 moves by 5e-4 or not at all; the adapter is trained in fp32."""
    from safetensors.torch import load_file
    from wmsforge_qlora.jobs.train import train

    def trained(learning_rate: float) -> dict[str, Any]:
        settings = {"learning_rate": learning_rate, "epochs": 0.3, "eval_every_steps": 3, "lora_dropout": 0.0}
        folder = train(job(tmp_path / str(learning_rate), rows, tiny, **settings), ReportDouble())["adapter"]
        return {
            name: one for name, one in load_file(Path(folder) / "adapter_model.safetensors").items() if "_A." in name
        }

    slow, fast = trained(1e-6), trained(2e-6)
    assert min(float((slow[name] != fast[name]).float().mean()) for name in slow) > 0.9


def test_early_stop_ends_a_training_whose_loss_rises_and_keeps_the_best(
    tmp_path: Path, tiny: Path, rows: Path, report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    settings = {"learning_rate": 3.0, "scheduler": "constant_with_warmup", "epochs": 20.0, "eval_every_steps": 3}
    facts = train(job(tmp_path / "out", rows, tiny, **settings), report)["facts"]
    assert facts["steps"] < facts["steps_planned"] == 180
    assert facts["eval_loss"] == pytest.approx(min(point["eval_loss"] for point in facts["curve"]), abs=1e-4)
    assert facts["best_step"] + 2 * 3 == facts["steps"]


def test_a_training_that_makes_nothing_better_says_so(
    tmp_path: Path, tiny: Path, rows: Path, adapter: Path, report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    settings = {"learning_rate": 30.0, "epochs": 0.6, "eval_every_steps": 3, "resume_from": place(adapter)}
    facts = train(job(tmp_path / "out", rows, tiny, **settings), report)["facts"]
    assert facts["eval_loss"] > facts["eval_loss_start"]
    assert report.warnings == [
        f"the training made nothing better: validation loss {facts['eval_loss_start']:.4f} before it, "
        f"{facts['eval_loss']:.4f} at its best"
    ]


def test_a_saved_tokenizer_that_reads_otherwise_is_a_fault(tmp_path: Path, tiny: Path) -> None:
    require()
    from transformers import AutoTokenizer
    from wmsforge_qlora.jobs.training import _check_saved

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    row = tokenizer("입고 작업<end_of_turn>", add_special_tokens=False)["input_ids"]
    _check_saved(tokenizer, tiny, row)
    tokenizer.add_tokens(["입고 작업"])
    with pytest.raises(RuntimeError, match=r"the tokenizer that was saved .* reads a row in \d+ tokens, .* in 2"):
        _check_saved(tokenizer, tiny, row)
