"""The trainer `qlora`: says what is to be trained and where; a job in the plugin's environment does it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wmsforge.errors import RecordError, StepError
from wmsforge.files import file_digest
from wmsforge.records import Artifact, content_id
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.machine import Finding, Machine
from wmsforge.steps.trainer import Trainer
from wmsforge_qlora.fitting import check_machine
from wmsforge_qlora.options import QloraOptions
from wmsforge_qlora.places import Place, locate
from wmsforge_qlora.presets import PRESETS

JOB = "wmsforge_qlora.jobs.train:train"


class QloraTrainer(Trainer):
    """Trains a LoRA adapter.

    Every training has a folder of its own below `context.folder`, named by what decides its result. So a killed
    training continues from its checkpoints, and one with other options or rows never meets them.
    """

    Options = QloraOptions
    options: QloraOptions

    def inputs(self) -> Sequence[Path]:
        file = self.options.template_file()
        if file is None:
            return ()
        if not file.is_file():
            raise RecordError("missing", f"chat_template names the file {str(file)!r}, which does not exist")
        return (file,)

    def identity(self) -> dict[str, Any]:
        """Return the options, with weights and template by what they hold and not by their path."""
        adapter = self._adapter()
        file = self.options.template_file()
        changes: dict[str, Any] = {
            "base": self._base().identity(),
            "resume_from": adapter and adapter.identity(),
            "seed": self._seed(),
        }
        if file is not None:
            changes["chat_template"] = hashlib.sha256(file.read_bytes()).hexdigest()
        return self.options.identity() | changes

    def environments(self) -> Sequence[EnvironmentUse]:
        return (EnvironmentUse(self._environment_name(), self.options.env),)

    def doctor(self, machine: Machine) -> Sequence[Finding]:
        return list(check_machine(self.options, machine, f"steps.{self.context.step}"))

    async def train(self, dataset: Artifact) -> Artifact:
        """See `Trainer.train`. `facts` has the losses before and after, the counts of rows, tokens and steps."""
        job = self._job(dataset)
        environment = await self.context.environment(self._environment_name(), self.options.env)
        result = await environment.run(JOB, job, out_of_memory=self._advice())
        return Artifact(kind="adapter", path=result["adapter"], also=tuple(result["also"]), facts=result["facts"])

    def _job(self, dataset: Artifact) -> dict[str, Any]:
        """Return the job's description; the folder of this training exists then."""
        rows = Path(dataset.path)
        if not rows.is_file():
            raise StepError(
                f"Step {self.context.step!r}: the dataset {str(rows)!r} is no file.\n"
                "Train on a step that writes messages-json, jsonl, sharegpt, alpaca or parquet."
            )
        held_out = dataset.facts.get("eval_path")
        digests = [file_digest(rows), file_digest(Path(held_out)) if held_out else None]
        folder = (self.context.folder / content_id("qlora", self.version, self.identity(), digests)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        options, base, adapter = self.options, self._base(), self._adapter()
        file = options.template_file()
        return {
            "step": self.context.step,
            "folder": str(folder),
            "rows": str(rows.absolute()),
            "eval_rows": str(Path(held_out).absolute()) if held_out else None,
            "base": base.as_job() | {"name": base.name, "identity": base.identity()},
            "resume_from": adapter and adapter.as_job() | {"name": adapter.name, "identity": adapter.identity()},
            "preset_set": self._set_by_preset(),
            "settings": options.model_dump(
                mode="json", exclude={"base", "revision", "resume_from", "resume_revision", "preset", "env"}
            )
            | {"seed": self._seed(), "chat_template": str(file.absolute()) if file else options.chat_template},
        }

    def _base(self) -> Place:
        return locate(self.options.base, "base", self.context.step, self.options.revision)

    def _adapter(self) -> Place | None:
        if self.options.resume_from is None:
            return None
        return locate(self.options.resume_from, "resume_from", self.context.step, self.options.resume_revision)

    def _seed(self) -> int:
        return self.context.seed if self.options.seed is None else self.options.seed

    def _environment_name(self) -> str:
        return "qlora-unsloth" if self.options.backend == "unsloth" else "qlora"

    def _set_by_preset(self) -> dict[str, Any]:
        """Return the values that stand because of the preset; one that the recipe writes itself may differ from it."""
        preset: Mapping[str, Any] = PRESETS.get(self.options.preset or "", {})
        return {name: value for name, value in preset.items() if getattr(self.options, name) == value}

    def _advice(self) -> str:
        """Return what to change when memory runs out, as settings of the command line, the cheapest first."""
        options, where = self.options, f"--set steps.{self.context.step}"
        ways = []
        if options.batch_size > 1:
            half = options.batch_size // 2
            accumulate = options.gradient_accumulation * options.batch_size // half
            smaller = f"{where}.batch_size={half} {where}.gradient_accumulation={accumulate}"
            ways.append(f"the same steps in smaller parts: {smaller}")
        if not options.activation_checkpointing:
            ways.append(f"activations computed twice: {where}.activation_checkpointing=true")
        if options.quantization == "none":
            ways.append(f"the base in 4 bits: {where}.quantization=nf4")
        ways.append(f"shorter rows: {where}.max_length={max(16, options.max_length // 2)}")
        return "; ".join(ways)
