"""The options of `qlora`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from wmsforge import options
from wmsforge.options import Env, NotIdentity
from wmsforge_qlora.presets import with_preset

SOLAR = "upstage/SOLAR-10.7B-Instruct-v1.0"
NAMED_TEMPLATES = ("solar", "gemma", "chatml")


class QloraOptions(options.Options):
    """What to train, how long, and in which steps. `max_length` and its like are in tokens of the base's tokenizer."""

    base: str = Field(
        default=SOLAR,
        min_length=1,
        description="Model to fine-tune: hub id, local folder, GGUF file, or gemma-3-270m for the bundled one.",
    )
    revision: str | None = Field(
        default=None, description="Branch, tag or commit of a hub base; a commit never changes under you."
    )
    resume_from: str | None = Field(
        default=None,
        min_length=1,
        description="Adapter to train on: hub id or folder, also a folder inside a hub repository such as "
        "MyeongHo0621/solar-korean-wms/checkpoint-1000.",
    )
    resume_revision: str | None = Field(default=None, description="Branch, tag or commit of a hub adapter.")
    resume: Literal["weights", "state"] = Field(
        default="weights",
        description="What to take from resume_from: its weights, for a new training; or also optimizer, scheduler and "
        "step, to continue a Trainer's checkpoint with the same data and options.",
    )
    backend: Literal["trl", "unsloth"] = Field(
        default="trl", description="trl runs anywhere; unsloth needs one NVIDIA GPU and has faster kernels."
    )
    preset: Annotated[Literal["h100", "h200", "cpu"] | None, NotIdentity()] = Field(
        default=None, description="Sets batch size, accumulation, checkpointing and length for a machine, as defaults."
    )
    epochs: float = Field(default=2.0, gt=0, description="Times that every row is seen.")
    learning_rate: float = Field(default=1e-5, gt=0, description="Peak learning rate of AdamW.")
    warmup_share: float = Field(default=0.03, ge=0, lt=1, description="Share of the steps that raise the rate from 0.")
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        default="cosine", description="How the learning rate falls after the warm-up."
    )
    batch_size: int = Field(default=4, ge=1, description="Rows in one forward pass of one device.")
    gradient_accumulation: int = Field(
        default=4, ge=1, description="Forward passes whose gradients make one step: rows a step = this x batch_size."
    )
    activation_checkpointing: bool = Field(
        default=True,
        description="Compute activations twice instead of keeping them: less memory, about a third slower.",
    )
    packing: bool = Field(
        default=False, description="Put several rows into one sequence of max_length; they do not see each other."
    )
    max_length: int = Field(
        default=2048, ge=16, description="Tokens of one row at most, question and template included."
    )
    truncate: bool = Field(
        default=False, description="Cut longer rows at max_length instead of leaving them out; what was cut is told."
    )
    rejected_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of the rows that may be left out (too long, no answer) before the step fails.",
    )
    lora_rank: int = Field(default=16, ge=1, description="Rank of the adapter's matrices.")
    lora_alpha: int = Field(default=32, ge=1, description="Scale of the adapter: alpha / rank.")
    lora_dropout: float = Field(default=0.05, ge=0, lt=1, description="Dropout before the adapter, while training.")
    lora_targets: Literal["all-linear"] | list[str] = Field(
        default="all-linear", description="Layers that get an adapter: all-linear, or names such as [q_proj, v_proj]."
    )
    quantization: Literal["nf4", "none"] = Field(
        default="nf4", description="nf4: the base in 4 bits, scales quantised too, computed in bf16; none: bf16."
    )
    eval_share: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Share of the rows held out for the validation loss where the dataset has no eval split.",
    )
    early_stop_patience: int = Field(
        default=2, ge=0, description="Evaluations without a new lowest validation loss that end the training; 0: never."
    )
    eval_every_steps: int | None = Field(
        default=None, ge=1, description="Steps between evaluations and checkpoints; a tenth of all steps if unset."
    )
    seed: int | None = Field(
        default=None, ge=0, description="Of order, dropout and new adapters; the recipe's if unset."
    )
    chat_template: str = Field(
        default="auto",
        min_length=1,
        description="How turns are written: auto (the model's own, else solar or gemma by its name), solar, gemma, "
        "chatml, or the path of a Jinja file.",
    )
    threads: Annotated[int | None, NotIdentity()] = Field(
        default=None, ge=1, description="CPU threads; all cores if unset."
    )
    devices: int = Field(default=1, ge=1, description="GPUs of this machine, by FSDP; each takes batch_size rows.")
    tracker: Annotated[Literal["none", "mlflow", "trackio"], NotIdentity()] = Field(
        default="none", description="Where to log beside TensorBoard files, which are always written."
    )
    env: Annotated[Env, NotIdentity()] = Field(
        default="auto",
        description="Where torch comes from: auto, cpu or cuda (built once from this plugin's lock), current, or "
        "{python: PATH}.",
    )

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, written: Any) -> Any:
        return with_preset(written) if isinstance(written, dict) else written

    @model_validator(mode="after")
    def _check(self) -> QloraOptions:
        if self.backend == "unsloth" and self.devices > 1:
            raise ValueError("backend unsloth trains on one GPU; write devices: 1, or backend: trl")
        if self.backend == "unsloth" and self.env == "cpu":
            raise ValueError("backend unsloth needs an NVIDIA GPU; write backend: trl, or env: cuda")
        if self.resume == "state" and self.resume_from is None:
            raise ValueError("resume: state continues a checkpoint; name it: resume_from")
        if self.resume_from is not None and (changed := self.model_fields_set & _OF_THE_ADAPTER):
            raise ValueError(
                f"{', '.join(sorted(changed))} cannot be chosen for an adapter that exists already; leave them out, or "
                "resume_from"
            )
        return self

    def template_file(self) -> Path | None:
        """Return the user's own template, None for the model's or a named one."""
        if self.chat_template in ("auto", *NAMED_TEMPLATES):
            return None
        return Path(self.chat_template).expanduser()


_OF_THE_ADAPTER = {"lora_rank", "lora_alpha", "lora_dropout", "lora_targets"}
