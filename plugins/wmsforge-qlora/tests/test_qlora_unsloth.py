"""The backend unsloth, up to its own calls: no GPU is needed to see what it is asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from qlora_doubles import ReportDouble, job, place, require

from wmsforge.env.worker import JobError


class FastLanguageModel:
    """Notes how it is called."""

    calls: list[tuple[str, dict[str, Any]]]

    @classmethod
    def from_pretrained(cls, **arguments: Any) -> tuple[str, str]:
        cls.calls.append(("from_pretrained", arguments))
        return "base", "tokenizer"

    @classmethod
    def get_peft_model(cls, model: str, **arguments: Any) -> str:
        cls.calls.append(("get_peft_model", arguments))
        return f"{model} with an adapter"

    @classmethod
    def for_training(cls, model: str) -> str:
        cls.calls.append(("for_training", {}))
        return model


@pytest.fixture
def unsloth(monkeypatch: pytest.MonkeyPatch) -> type[FastLanguageModel]:
    require()
    import torch

    module = ModuleType("unsloth")
    module.FastLanguageModel = FastLanguageModel  # type: ignore[attr-defined]
    FastLanguageModel.calls = []
    monkeypatch.setitem(sys.modules, "unsloth", module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return FastLanguageModel


def load(data: dict[str, Any]) -> Any:
    from wmsforge_qlora.jobs.settings import Job
    from wmsforge_qlora.jobs.unsloth_model import load_with_unsloth

    return load_with_unsloth(Job.of(data), ReportDouble())


def test_a_new_adapter_is_asked_for_with_the_recipes_settings(tmp_path: Path, unsloth: type[FastLanguageModel]) -> None:
    data = job(tmp_path / "out", tmp_path, tmp_path, backend="unsloth", activation_checkpointing=True)
    assert load(data) == "base with an adapter"
    (_, base), (_, adapter) = unsloth.calls
    assert (base["model_name"], base["load_in_4bit"], base["max_seq_length"]) == (str(tmp_path), True, 256)
    assert (adapter["r"], adapter["lora_alpha"], adapter["random_state"]) == (8, 16, 7)
    assert adapter["use_gradient_checkpointing"] == "unsloth"
    assert len(adapter["target_modules"]) == 7


def test_an_adapter_that_exists_is_loaded_instead_of_the_base(tmp_path: Path, unsloth: type[FastLanguageModel]) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"")
    load(job(tmp_path / "out", tmp_path, tmp_path, backend="unsloth", resume_from=place(folder)))
    assert [name for name, _ in unsloth.calls] == ["from_pretrained", "for_training"]
    assert unsloth.calls[0][1]["model_name"] == str(folder)


def test_gguf_files_and_machines_without_a_gpu_are_refused(
    tmp_path: Path, unsloth: type[FastLanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    data = job(tmp_path / "out", tmp_path, tmp_path, backend="unsloth")
    gguf = data | {"base": data["base"] | {"inner": "m.gguf"}}
    with pytest.raises(JobError, match=r"loads no GGUF files\.\nUse --set steps.tuned.backend=trl"):
        load(gguf)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(JobError, match=r"needs an NVIDIA GPU; torch sees none\.\nUse --set steps.tuned.backend=trl"):
        load(data)
