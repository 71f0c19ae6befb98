"""One training by TRL, from its last checkpoint on: configuration, evaluation before it, and what came out."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import EarlyStoppingCallback
from trl import SFTConfig, SFTTrainer

from wmsforge.env.worker import JobError, Report
from wmsforge_qlora.jobs.callbacks import Guard, LastEvaluation, Mark, Progress, Stop
from wmsforge_qlora.jobs.conservation import Prepared
from wmsforge_qlora.jobs.guard import forbid_missing_gradients
from wmsforge_qlora.jobs.settings import Job
from wmsforge_qlora.jobs.tokens import Tokens

EVALUATIONS = 10
"""In a training whose recipe does not say how often."""
LOGS = 100
BEFORE = "before.json"


def training_config(job: Job, *, evaluates: bool) -> SFTConfig:
    """Return what TRL is told."""
    settings = job.settings
    every: float = settings.eval_every_steps or 1 / EVALUATIONS
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(job.folder / "tensorboard")
    return SFTConfig(
        output_dir=str(job.folder / "checkpoints"),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_share,  # below 1 it is a share
        lr_scheduler_type=settings.scheduler,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        gradient_checkpointing=settings.activation_checkpointing and settings.devices == 1,  # else FSDP does it
        optim="adamw_torch",
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        max_length=settings.max_length,
        packing=settings.packing,
        eval_packing=False,  # the loss of a row must not depend on its neighbours
        dataset_kwargs={"skip_prepare_dataset": not settings.packing},
        seed=settings.seed,
        data_seed=settings.seed,
        eval_strategy="steps" if evaluates else "no",
        eval_on_start=evaluates and settings.devices > 1,  # shards are made when the training begins
        eval_steps=every,
        prediction_loss_only=True,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=evaluates,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        include_num_input_tokens_seen="non_padding",
        logging_strategy="steps",
        logging_steps=1 / LOGS,
        logging_first_step=True,
        report_to=["tensorboard", *([] if settings.tracker == "none" else [settings.tracker])],
        run_name=job.step,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def as_dataset(rows: list[Tokens]) -> Dataset:
    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


class Fit:
    """A trainer around a model with its adapter."""

    def __init__(self, job: Job, model: Any, tokenizer: Any, prepared: Prepared, report: Report) -> None:
        forbid_missing_gradients()
        self._job, self._report = job, report
        self._evaluates = bool(prepared.held_out)
        self._stop = Stop(report)
        callbacks = [Progress(report), Guard(), Mark(), self._stop]
        if self._evaluates:
            callbacks.append(LastEvaluation())
            if job.settings.early_stop_patience:
                callbacks.append(EarlyStoppingCallback(job.settings.early_stop_patience))
        _check_tracker(job)
        self.trainer = SFTTrainer(
            model=model,
            args=training_config(job, evaluates=self._evaluates),
            train_dataset=as_dataset(prepared.train),
            eval_dataset=as_dataset(prepared.held_out) if self._evaluates else None,
            processing_class=tokenizer,
            callbacks=callbacks,
        )
        if job.settings.devices == 1:
            _full_precision(self.trainer.model)

    def losses_before(self) -> dict[str, float]:
        """Return the validation loss of the untouched base, and of the adapter to go on with; measured once.

        Both are the same for a new adapter, which changes nothing yet. With several devices the training itself
        measures it, when the shards are made: of the adapter only.
        """
        kept = self._job.folder / BEFORE
        if kept.is_file():
            found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
            return found
        if not self._evaluates or self._job.settings.devices > 1:
            return {}
        model = self.trainer.accelerator.unwrap_model(self.trainer.model)
        with model.disable_adapter():
            losses = {"eval_loss_base": self._loss()}
        losses["eval_loss_start"] = self._loss() if self._job.resume_from else losses["eval_loss_base"]
        self._report.note(f"validation loss before training: {losses['eval_loss_start']:.4f}")
        _keep(kept, losses)
        return losses

    def train(self, checkpoint: Path | None) -> dict[str, Any]:
        """Train to the end and return the figures; the model then has the best weights.

        Raises:
            JobError: If the run was cancelled; a checkpoint of the step is kept.
        """
        out = self.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        state = self.trainer.state
        if self._stop.stopped:
            raise JobError(
                f"Step {self._job.step!r}: the training was stopped at step {state.global_step} of {state.max_steps}.\n"
                "Its checkpoint is kept: the same command continues it."
            )
        seconds = float(out.metrics["train_runtime"])
        facts: dict[str, Any] = {
            "steps": state.global_step,
            "steps_planned": state.max_steps,
            "tokens": int(state.num_input_tokens_seen),
            "seconds": round(seconds, 1),
            "curve": [
                {"step": entry["step"], "eval_loss": round(entry["eval_loss"], 4)}
                for entry in state.log_history
                if "eval_loss" in entry and entry["step"]
            ],
        }
        if self._evaluates and self._job.settings.devices > 1:
            first = next(entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry)
            facts |= {"eval_loss_start": first} | ({} if self._job.resume_from else {"eval_loss_base": first})
        if self._evaluates:
            facts |= {"best_step": state.best_global_step, "eval_loss": state.best_metric}
        return facts

    def _loss(self) -> float:
        return float(self.trainer.evaluate()["eval_loss"])


def _keep(path: Path, losses: dict[str, float]) -> None:
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(losses), encoding="utf-8")
    temporary.replace(path)


def _full_precision(model: Any) -> None:
    """Keep the adapter in fp32; TRL puts it into bf16 over a 4-bit base.

    In bf16 a weight of 0.02 moves in steps of 1e-4, so AdamW's steps at a learning rate of 1e-5 would be rounded away.
    Computing is in bf16 all the same, by autocast.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)


def _check_tracker(job: Job) -> None:
    tracker = job.settings.tracker
    if tracker != "none" and importlib.util.find_spec(tracker) is None:
        raise JobError(
            f"Step {job.step!r}: tracker {tracker} is not installed in the environment that trains.\n"
            f"Install it there: {sys.executable} -m pip install {tracker}; TensorBoard files are written without it."
        )
