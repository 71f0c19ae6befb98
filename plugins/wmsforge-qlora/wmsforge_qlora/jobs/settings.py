"""A job's description, typed: what the host's options are on this side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The options of `qlora` that the job reads, under the same names; see `wmsforge_qlora.options`."""

    resume: str
    backend: str
    epochs: float
    learning_rate: float
    warmup_share: float
    scheduler: str
    batch_size: int
    gradient_accumulation: int
    activation_checkpointing: bool
    packing: bool
    max_length: int
    truncate: bool
    rejected_share: float
    lora_rank: int
    lora_alpha: int
    lora_dropout: float
    lora_targets: str | list[str]
    quantization: str
    eval_share: float
    early_stop_patience: int
    eval_every_steps: int | None
    seed: int
    chat_template: str
    threads: int | None
    devices: int
    tracker: str


@dataclass(frozen=True)
class Weights:
    """Where a base or an adapter is, as `wmsforge_qlora.places.Place` found it."""

    root: str
    inner: str
    local: bool
    revision: str | None
    name: str
    identity: str

    @property
    def gguf(self) -> str:
        return self.inner if self.inner.endswith(".gguf") else ""

    def source(self) -> tuple[str, dict[str, Any]]:
        """Return what `from_pretrained` takes."""
        options: dict[str, Any] = {} if self.local else {"revision": self.revision}
        if self.gguf:
            options["gguf_file"] = self.gguf
        elif self.inner:
            options["subfolder"] = self.inner
        return self.root, options


@dataclass(frozen=True)
class Job:
    """One training."""

    step: str
    """Id of the recipe's step, for messages."""
    folder: Path
    """Of this training alone; what is there is of an earlier try at the same."""
    rows: Path
    eval_rows: Path | None
    base: Weights
    resume_from: Weights | None
    preset_set: dict[str, Any]
    settings: Settings

    @classmethod
    def of(cls, data: dict[str, Any]) -> Job:
        return cls(
            step=data["step"],
            folder=Path(data["folder"]),
            rows=Path(data["rows"]),
            eval_rows=Path(data["eval_rows"]) if data["eval_rows"] else None,
            base=Weights(**data["base"]),
            resume_from=Weights(**data["resume_from"]) if data["resume_from"] else None,
            preset_set=data["preset_set"],
            settings=Settings(**data["settings"]),
        )

    def setting(self, name: str) -> str:
        """Return how a user changes an option of this step on the command line, up to its value."""
        return f"--set steps.{self.step}.{name}="
