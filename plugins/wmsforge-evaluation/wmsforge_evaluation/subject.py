"""What is measured: the tuned model, its base, and rows that training did not see."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmsforge.errors import StepError
from wmsforge.records import Artifact
from wmsforge_evaluation.rows import HeldOut, read_held_out, spread


@dataclass(frozen=True)
class Subject:
    """The two models and the rows."""

    path: str
    base: str
    base_revision: str | None
    rows: list[HeldOut]
    chose: int | None
    """How many of the rows also chose the checkpoint while training; None if nothing says so."""
    training: dict[str, Any]
    """Figures of the training, as far as they are told."""
    quantised: bool


def read_subject(model: Artifact, base: str | None, rows: Path | None, scored: int, step: str) -> Subject:
    """Return what there is to measure; `base` and `rows` win over what the model's making says.

    Raises:
        StepError: If the artifact is no model, or base or rows are missing, with what to do.
    """
    if model.kind != "model" or not Path(model.path, "config.json").is_file():
        raise StepError(
            f"Step {step!r}: two-by-two measures a model's folder, and {model.path!r} is none.\n"
            f"Let it read the merge step, or fp8."
        )
    made_of = base or model.facts.get("base")
    if not made_of:
        raise StepError(
            f"Step {step!r}: nothing says which base the model {model.path!r} was made of.\n"
            f"Name it: --set steps.{step}.base=<folder, GGUF file or hub id>"
        )
    validation = model.facts.get("eval_path")
    path = rows or validation
    if path is None:
        raise StepError(
            f"Step {step!r}: there are no held-out rows to measure on.\n"
            f"Give the dataset an eval_share, or name a file: --set steps.{step}.rows=..."
        )
    read = spread(read_held_out(Path(path), step), scored)
    if len(read) < 2:
        raise StepError(f"Step {step!r}: {path} has {len(read)} rows; an interval needs two.\nRaise eval_share.")
    training = model.facts.get("training") or {}
    revision = None if base else model.facts.get("base_revision")
    chose = _chose(read, training, Path(validation) if validation else None, step)
    quantised = model.facts.get("format") == "compressed-tensors"
    return Subject(model.path, str(made_of), revision, read, chose, training, quantised)


def _chose(rows: list[HeldOut], training: dict[str, Any], validation: Path | None, step: str) -> int | None:
    if not training or (validation and not validation.is_file()):
        return None
    if "best_step" not in training:  # the last checkpoint was taken, whatever its loss
        return 0
    if validation is None:
        return None
    seen = {_text(row) for row in read_held_out(validation, step)}
    return sum(_text(row) in seen for row in rows)


def _text(row: HeldOut) -> str:
    return json.dumps([list(row.messages), row.reference], ensure_ascii=False)
