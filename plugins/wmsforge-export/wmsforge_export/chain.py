"""What an exporter is given, and what it hands on: an adapter with its base, or a model, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from wmsforge.errors import StepError
from wmsforge.records import Artifact
from wmsforge_export.parity import ParityOptions

KEPT = ("base", "base_revision", "template", "eval_path", "training", "adapter", "merge_base", "parameters")
"""Facts that every later form of the model has as well."""


@dataclass(frozen=True)
class AdapterSource:
    """An adapter and the base it was trained on, as the jobs read it."""

    adapter: str
    base: str
    revision: str | None
    nf4: bool
    double_quantization: bool = True

    def job(self) -> dict[str, Any]:
        return asdict(self)


def adapter_source(
    artifact: Artifact, step: str, base_model: str | None, quantization: Literal["auto", "nf4", "none"]
) -> AdapterSource:
    """Return the adapter's source: the options win, then what its trainer said, then its own configuration.

    Raises:
        StepError: If the artifact is no LoRA adapter, or nothing says what it was trained on.
    """
    try:
        config = json.loads(Path(artifact.path, "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StepError(
            f"Step {step!r}: merge was given the {artifact.kind} {artifact.path!r}, which has no adapter_config.json: "
            f"{error}\nLet it read the step that trains the adapter: from: <the trainer's step>."
        ) from error
    base = base_model or artifact.facts.get("base") or config.get("base_model_name_or_path")
    if not base:
        raise StepError(
            f"Step {step!r}: nothing says which base the adapter {artifact.path!r} was trained on.\n"
            f"Name it: --set steps.{step}.base_model=<folder, GGUF file or hub id>"
        )
    told = artifact.facts.get("quantization") if quantization == "auto" else quantization
    if quantization == "auto" and "quantization" not in artifact.facts:
        raise StepError(
            f"Step {step!r}: nothing says whether the adapter {artifact.path!r} was trained on a base in 4 bits.\n"
            f"Say it: --set steps.{step}.quantization=nf4, or none"
        )
    double = bool(artifact.facts.get("double_quantization", True))
    revision = None if base_model else artifact.facts.get("base_revision") or config.get("revision")
    return AdapterSource(artifact.path, str(base), revision, told == "nf4", double)


def model_folder(artifact: Artifact, step: str, exporter: str) -> Path:
    """Return the folder of a full model.

    Raises:
        StepError: If it is something else, with what to do.
    """
    path = Path(artifact.path)
    if artifact.kind == "adapter" or (path / "adapter_config.json").exists():
        raise StepError(
            f"Step {step!r}: {exporter} was given an adapter, which is no model by itself.\n"
            f"Merge it first: add a step with use: merge, and let {step} read it."
        )
    if not (path / "config.json").is_file():
        raise StepError(
            f"Step {step!r}: {exporter} needs a folder with config.json and safetensors, {artifact.path!r} is none.\n"
            f"Let it read the merge step."
        )
    return path


def held_out_rows(artifact: Artifact, options: ParityOptions, step: str) -> Path | None:
    """Return the file with the prompts, None if the gate is left out.

    Raises:
        StepError: If there is none, or it does not exist.
    """
    if not options.prompts:
        return None
    told = options.rows or artifact.facts.get("eval_path")
    if not told or not Path(told).is_file():
        what = f"the file {str(told)!r} does not exist" if told else "the model's training had no held-out rows"
        raise StepError(
            f"Step {step!r}: the parity gate has no prompts: {what}.\n"
            f"Give the dataset an eval_share, or name a file: --set steps.{step}.parity.rows=...; "
            f"or leave the gate out: --set steps.{step}.parity.prompts=0"
        )
    return Path(told)


def handed_on(artifact: Artifact, hop: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """Return the facts of a model made from `artifact`: where it comes from, this hop, and `facts`."""
    kept = {key: artifact.facts[key] for key in KEPT if key in artifact.facts}
    if artifact.kind == "adapter":
        kept["training"] = {k: v for k, v in artifact.facts.items() if isinstance(v, (int, float, str, bool))}
    return {**kept, **facts, "hops": [*artifact.facts.get("hops", []), dict(hop)]}
