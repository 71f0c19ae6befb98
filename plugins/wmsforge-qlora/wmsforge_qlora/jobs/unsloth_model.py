"""The same base and adapter, loaded by unsloth, whose kernels train faster on one NVIDIA GPU."""

from __future__ import annotations

from typing import Any

import torch

from wmsforge.env.worker import JobError, Report
from wmsforge_qlora.jobs.adapter import check_base, fetch
from wmsforge_qlora.jobs.settings import Job

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""What unsloth has kernels for; all linear layers of a Llama, a Gemma or a SOLAR."""


def load_with_unsloth(job: Job, report: Report) -> Any:
    """Return the base with the adapter to train.

    Raises:
        JobError: If there is no GPU, the base is a GGUF file, or the adapter was trained on another base.
    """
    from unsloth import FastLanguageModel

    settings = job.settings
    if not torch.cuda.is_available():
        raise JobError(
            f"Step {job.step!r}: backend unsloth needs an NVIDIA GPU; torch sees none.\nUse {job.setting('backend')}trl"
        )
    if job.base.gguf:
        raise JobError(f"Step {job.step!r}: backend unsloth loads no GGUF files.\nUse {job.setting('backend')}trl")
    adapter = fetch(job, job.resume_from) if job.resume_from else None
    if adapter is not None:
        check_base(job, adapter, report)  # of shapes unsloth itself complains
    model, _ = FastLanguageModel.from_pretrained(
        model_name=str(adapter) if adapter is not None else job.base.root,
        revision=None if adapter is not None else job.base.revision,
        max_seq_length=settings.max_length,
        dtype=torch.bfloat16,
        load_in_4bit=settings.quantization == "nf4",
    )
    if adapter is not None:
        return FastLanguageModel.for_training(model)
    return FastLanguageModel.get_peft_model(
        model,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=TARGETS if settings.lora_targets == "all-linear" else settings.lora_targets,
        bias="none",
        use_gradient_checkpointing="unsloth" if settings.activation_checkpointing else False,
        random_state=settings.seed,
    )
