"""The trainer `qlora` as the engine sees it: options, presets, identity, the job it describes. Needs no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from qlora_doubles import SETTINGS
from wmsforge_qlora.jobs.settings import Job, Settings
from wmsforge_qlora.options import QloraOptions
from wmsforge_qlora.places import Place, locate
from wmsforge_qlora.presets import PRESETS
from wmsforge_qlora.trainer import JOB, QloraTrainer

from wmsforge.errors import RecordError, StepError
from wmsforge.records import Artifact
from wmsforge.testing import LocalContext


@dataclass
class EnvironmentContext(LocalContext):
    """A context whose environments note the jobs they are given and answer at once."""

    opened: list[tuple[str, Any]] = field(default_factory=list)
    jobs: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)

    async def environment(self, name: str, env: Any) -> EnvironmentContext:
        self.opened.append((name, env))
        return self

    async def run(self, job: str, data: dict[str, Any], *, on_progress: Any = None, out_of_memory: str = "") -> Any:
        self.jobs.append((job, json.loads(json.dumps(data)), out_of_memory))
        return {"adapter": f"{data['folder']}/adapter", "also": ["x"], "facts": {"rows": 1}}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Artifact:
    path = tmp_path / "dataset.json"
    path.write_text("[]")
    return Artifact(kind="dataset", path=str(path), facts={"rows": 0})


def trainer(tmp_path: Path, **options: Any) -> QloraTrainer:
    return QloraTrainer(QloraOptions(**options), EnvironmentContext(tmp_path / "work", step="tuned"))


async def job_of(trainer: QloraTrainer, dataset: Artifact) -> tuple[dict[str, Any], str]:
    artifact = await trainer.train(dataset)
    assert artifact.kind == "adapter"
    target, data, advice = trainer.context.jobs[-1]  # type: ignore[attr-defined]
    assert target == JOB
    assert artifact.path == f"{data['folder']}/adapter"
    return data, advice


async def test_the_job_has_what_the_other_side_reads(tmp_path: Path, base: Path, dataset: Artifact) -> None:
    data, _ = await job_of(trainer(tmp_path, base=str(base)), dataset)
    job = Job.of(data)
    assert job.settings.learning_rate == 1e-5
    assert job.settings.epochs == 2
    assert (job.base.root, job.base.local, job.resume_from) == (str(base), True, None)
    assert job.rows == Path(dataset.path)
    assert is_folder(data["folder"])


def test_settings_are_options_and_the_doubles_know_all() -> None:
    names = {one.name for one in fields(Settings)}
    elsewhere = {"base", "revision", "resume_from", "resume_revision", "preset", "env"}
    assert names == set(QloraOptions.model_fields) - elsewhere
    assert names == set(SETTINGS)


def test_the_job_module_is_there_and_the_host_imports_no_torch() -> None:
    heavy = "{'torch', 'transformers', 'jinja2'}"
    code = f"import sys, wmsforge_qlora.trainer; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    from wmsforge_qlora.jobs.train import train

    assert f"{train.__module__}:{train.__name__}" == JOB


def test_a_preset_sets_defaults_and_what_is_written_wins() -> None:
    options = QloraOptions(preset="h100", batch_size=2)
    assert (options.batch_size, options.gradient_accumulation, options.max_length) == (2, 2, 2048)
    assert QloraOptions(preset="cpu").identity() == QloraOptions(**PRESETS["cpu"]).identity()


async def test_the_job_tells_what_the_preset_set(tmp_path: Path, base: Path, dataset: Artifact) -> None:
    data, _ = await job_of(trainer(tmp_path, base=str(base), preset="cpu", max_length=300), dataset)
    assert data["preset_set"] == {"batch_size": 4, "gradient_accumulation": 1, "activation_checkpointing": False}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_write_options_that_exist(preset: str) -> None:
    assert set(PRESETS[preset]) <= set(QloraOptions.model_fields)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "unsloth", "devices": 2}, "backend unsloth trains on one GPU"),
        ({"backend": "unsloth", "env": "cpu"}, "backend unsloth needs an NVIDIA GPU"),
        ({"resume": "state"}, "resume: state continues a checkpoint; name it: resume_from"),
        (
            {"resume_from": "a/b", "lora_rank": 8, "lora_alpha": 1},
            "lora_alpha, lora_rank cannot be chosen for an adapter",
        ),
        ({"learning_rte": 1}, "Extra inputs are not permitted"),
        ({"epochs": 0}, "greater than 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        QloraOptions(**options)


def test_every_option_is_described() -> None:
    assert [name for name, one in QloraOptions.model_fields.items() if not one.description] == []


def is_folder(path: str) -> bool:
    return Path(path).is_dir()


def write(path: str, text: str) -> None:
    Path(path).write_text(text)


async def test_folders_tell_trainings_apart_that_would_end_differently(
    tmp_path: Path, base: Path, dataset: Artifact
) -> None:
    async def folder(**options: Any) -> str:
        data, _ = await job_of(trainer(tmp_path, base=str(base), **options), dataset)
        return str(data["folder"])

    first = await folder()
    assert await folder(threads=1, env="current", tracker="mlflow") == first
    assert await folder(learning_rate=1e-4) != first
    write(dataset.path, "[1]")
    changed = await folder()
    assert changed != first
    (base / "config.json").write_text("[]")
    assert await folder() not in (first, changed)


def test_identity_is_what_weights_and_template_hold(tmp_path: Path, base: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("a")
    one = trainer(tmp_path, base=str(base), chat_template=str(template))
    before = one.identity()
    assert str(base) not in json.dumps(before)
    assert list(one.inputs()) == [template]
    template.write_text("b")
    assert one.identity() != before
    template.unlink()
    with pytest.raises(RecordError, match="which does not exist"):
        one.inputs()


async def test_the_datasets_eval_split_goes_along(tmp_path: Path, base: Path, dataset: Artifact) -> None:
    split = tmp_path / "dataset.eval.json"
    split.write_text("[]")
    given = dataset.model_copy(update={"facts": {"eval_path": str(split)}})
    data, _ = await job_of(trainer(tmp_path, base=str(base)), given)
    assert data["eval_rows"] == str(split)


async def test_the_backend_chooses_the_environment(tmp_path: Path, base: Path, dataset: Artifact) -> None:
    for backend, name in (("trl", "qlora"), ("unsloth", "qlora-unsloth")):
        one = trainer(tmp_path, base=str(base), backend=backend)
        assert [use.name for use in one.environments()] == [name]
        await one.train(dataset)
        assert one.context.opened == [(name, "auto")]  # type: ignore[attr-defined]


async def test_the_advice_when_memory_runs_out_keeps_the_steps_as_they_are(
    tmp_path: Path, base: Path, dataset: Artifact
) -> None:
    options = {"batch_size": 8, "activation_checkpointing": False, "quantization": "none"}
    _, advice = await job_of(trainer(tmp_path, base=str(base), **options), dataset)
    assert advice == (
        "the same steps in smaller parts: --set steps.tuned.batch_size=4 --set steps.tuned.gradient_accumulation=8; "
        "activations computed twice: --set steps.tuned.activation_checkpointing=true; "
        "the base in 4 bits: --set steps.tuned.quantization=nf4; "
        "shorter rows: --set steps.tuned.max_length=1024"
    )
    _, least = await job_of(trainer(tmp_path, base=str(base), batch_size=1), dataset)
    assert least == "shorter rows: --set steps.tuned.max_length=1024"


async def test_a_dataset_that_is_gone_is_an_error(tmp_path: Path, base: Path) -> None:
    with pytest.raises(StepError, match=r"Step 'tuned': the dataset '.*gone\.json' is no file\.\nTrain on a step"):
        await trainer(tmp_path, base=str(base)).train(Artifact(kind="dataset", path=str(tmp_path / "gone.json")))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("upstage/SOLAR-10.7B-v1.0", Place("upstage/SOLAR-10.7B-v1.0", revision="main")),
        (
            "MyeongHo0621/solar-korean-wms/checkpoint-1000",
            Place("MyeongHo0621/solar-korean-wms", "checkpoint-1000", revision="main"),
        ),
        ("gpt2", Place("gpt2", revision="main")),
    ],
)
def test_hub_names_may_go_on_into_the_repository(name: str, place: Place) -> None:
    found = locate(name, "resume_from", "tuned", "main")
    assert found == place
    assert found.identity() == f"hub:{name}@main"


def test_local_places_are_folders_and_gguf_files(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    assert locate(str(file), "base", "tuned") == Place(str(tmp_path), "m.gguf", local=True)
    assert locate(str(file), "base", "tuned").name == str(file)
    with pytest.raises(
        StepError, match=r"Step 'tuned': option 'base' names '.*gone', which does not exist\.\nGive a hub"
    ):
        locate(str(tmp_path / "gone"), "base", "tuned")


def test_weights_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"x" * 5_000_000 + b"end")
    one, other = (locate(str(tmp_path / name), "base", "tuned") for name in ("a", "b"))
    assert one.identity() == other.identity()
    (tmp_path / "a" / "optimizer.bin").write_bytes(b"of no matter")
    assert one.identity() == other.identity()
    (tmp_path / "b" / "model.safetensors").write_bytes(b"x" * 5_000_000 + b"END")
    assert one.identity() != other.identity()
