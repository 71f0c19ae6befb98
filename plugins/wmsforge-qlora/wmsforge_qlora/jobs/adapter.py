"""The adapter to train: a new one, or one that exists, once it is sure that it fits the base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wmsforge.env.worker import JobError, Report
from wmsforge_qlora.jobs.settings import Job, Weights

FACTS = "wmsforge.json"
"""Beside our adapters: what they were trained on."""


def lora_config(job: Job) -> Any:
    """Return the configuration of a new adapter."""
    from peft import LoraConfig

    settings = job.settings
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=settings.lora_targets,
        bias="none",
    )


def new_adapter(job: Job, model: Any) -> Any:
    """Return the base with a new adapter, which changes nothing until it is trained.

    Raises:
        JobError: If the base has no layer of the names in `lora_targets`.
    """
    from peft import get_peft_model

    try:
        return get_peft_model(model, lora_config(job))
    except ValueError as error:
        raise JobError(
            f"Step {job.step!r}: lora_targets {job.settings.lora_targets} do not fit {job.base.name}: "
            f"{str(error).partition(chr(10))[0]}\n"
            f"Take all linear layers: {job.setting('lora_targets')}all-linear"
        ) from error


def fetch(job: Job, place: Weights) -> Path:
    """Return the folder of the adapter to train on; one of the hub is fetched.

    Raises:
        JobError: If it is not there, or no adapter of PEFT.
    """
    if place.local:
        folder = Path(place.root, place.inner)
    else:
        from huggingface_hub import snapshot_download

        inner = f"{place.inner}/*" if place.inner else "*"
        try:
            root = snapshot_download(place.root, revision=place.revision, allow_patterns=[inner])
        except Exception as error:  # the hub's errors have no base in common, and it changes its HTTP library
            first = str(error).strip().partition("\n")[0]
            raise JobError(
                f"Step {job.step!r}: resume_from {place.name} cannot be fetched: {type(error).__name__}: {first}\n"
                "Check the name, the network, and HF_TOKEN for a private one."
            ) from error
        folder = Path(root, place.inner)
    if not (folder / "adapter_config.json").is_file() or not (folder / "adapter_model.safetensors").is_file():
        raise JobError(
            f"Step {job.step!r}: resume_from {place.name} has no adapter_config.json and adapter_model.safetensors.\n"
            "Name an adapter that PEFT saved, or a folder checkpoint-N inside its repository."
        )
    return folder


def existing_adapter(job: Job, model: Any, folder: Path, report: Report) -> Any:
    """Return the base with an adapter that goes on being trained.

    Raises:
        JobError: If it was trained on another base, or its shapes do not fit.
    """
    from peft import PeftModel

    check_base(job, folder, report)
    check_shapes(job, model, folder)
    return PeftModel.from_pretrained(model, str(folder), is_trainable=True)


def check_base(job: Job, folder: Path, report: Report) -> None:
    """Compare the base that an adapter names with the job's, as far as the names can tell."""
    assert job.resume_from is not None
    adapter, named = job.resume_from.name, json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    trained_on = str(named.get("base_model_name_or_path") or "")
    facts = folder / FACTS
    if facts.is_file():
        same = json.loads(facts.read_text(encoding="utf-8"))["base_identity"] == job.base.identity
    elif not job.base.local and trained_on.count("/") == 1 and not trained_on.startswith(("/", ".")):
        same = trained_on == job.base.name
    else:
        report.note(f"{adapter} names {trained_on or 'no base'}; only its shapes were compared with {job.base.name}")
        return
    if not same:
        raise JobError(
            f"Step {job.step!r}: the adapter {adapter} was trained on {trained_on}, the base here is {job.base.name}.\n"
            f"Train on its own base: {job.setting('base')}{trained_on}"
        )


def check_shapes(job: Job, model: Any, folder: Path) -> None:
    """Compare the shapes of an adapter's matrices with the layers of the base; reads no weights."""
    from safetensors import safe_open

    layers = dict(model.named_modules())
    wrong = []
    with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
        names = list(file.keys())
        for name in names:
            layer_name, mark, _ = name.removeprefix("base_model.model.").partition(".lora_")
            if not mark:
                continue
            layer, shape = layers.get(layer_name), file.get_slice(name).get_shape()
            if layer is None:
                wrong.append(f"{layer_name} is no layer of the base")
            elif ".lora_A." in name and shape[1] != layer.in_features:
                wrong.append(f"{layer_name} takes {layer.in_features} values, the adapter's {shape[1]}")
            elif ".lora_B." in name and shape[0] != layer.out_features:
                wrong.append(f"{layer_name} gives {layer.out_features} values, the adapter's {shape[0]}")
    if wrong:
        assert job.resume_from is not None
        raise JobError(
            f"Step {job.step!r}: the adapter {job.resume_from.name} does not fit {job.base.name}: {wrong[0]} "
            f"(and {len(wrong) - 1} more of {len(names)} matrices).\n"
            f"Name the base that it was trained on: {job.setting('base')}..."
        )
