"""Loads the base and its tokenizer, in 4 bits or in bf16."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from wmsforge.env.worker import JobError
from wmsforge_qlora.jobs.guard import keep_layout
from wmsforge_qlora.jobs.settings import Job

DTYPE = torch.bfloat16


def device() -> torch.device:
    """Return this process's own GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def hush() -> None:
    """Keep the libraries' progress bars and advice out of the log; what matters is said by us."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def load_tokenizer(job: Job) -> Any:
    """Load the base's tokenizer, with something to pad with.

    Raises:
        JobError: If there is none, or it has no end token.
    """
    root, options = job.base.source()
    try:
        tokenizer = AutoTokenizer.from_pretrained(root, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise not_loaded(job, error) from error
    if tokenizer.eos_token_id is None:
        raise JobError(
            f"Step {job.step!r}: the tokenizer of {job.base.name} has no end token, so no answer could learn to end.\n"
            "Set eos_token in its tokenizer_config.json."
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(job: Job) -> Any:
    """Load the base's configuration alone, which tells its architecture and its commit.

    Raises:
        JobError: If there is none.
    """
    root, options = job.base.source()
    try:
        return AutoConfig.from_pretrained(root, trust_remote_code=False, **options)
    except (OSError, ValueError) as error:
        raise not_loaded(job, error) from error


def load_base(job: Job, config: Any) -> Any:
    """Load the base's weights, frozen.

    Raises:
        JobError: If they cannot be loaded.
    """
    root, options = job.base.source()
    nf4 = job.settings.quantization == "nf4"
    if nf4:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=DTYPE,
            bnb_4bit_quant_storage=DTYPE if job.settings.devices > 1 else torch.uint8,  # FSDP shards one type only
        )
    if job.settings.devices == 1:
        options["device_map"] = {"": str(device())}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            root, config=config, trust_remote_code=False, dtype=DTYPE, **options
        )
    except (OSError, ValueError) as error:
        raise not_loaded(job, error) from error
    model.requires_grad_(False)
    keep_layout(model)
    model.config.use_cache = False
    return model


def not_loaded(job: Job, error: Exception) -> JobError:
    """Return what a user can do about a base that does not load."""
    first = str(error).strip().partition("\n")[0]
    return JobError(
        f"Step {job.step!r}: the base {job.base.name} cannot be loaded: {type(error).__name__}: {first}\n"
        "It must be a causal language model; check the name, the network, and HF_TOKEN for a private one: "
        f"{job.setting('base')}..."
    )
