"""A GGUF base as an ordinary folder, made once: reading the file anew takes half a minute, and 4 bits need a folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig
from transformers.utils import cached_file

from wmsforge.env.worker import JobError, Report
from wmsforge.home import home
from wmsforge_qlora.jobs.gguf_tokenizer import load_gguf_tokenizer
from wmsforge_qlora.jobs.model import DTYPE, not_loaded
from wmsforge_qlora.jobs.settings import Job


def with_unpacked_base(job: Job, report: Report) -> Job:
    """Return the job with a folder of bf16 safetensors and tokenizer in the place of a GGUF base.

    The folder is kept beside the bundled models and shared by all trainings; it is made whole or not at all.

    Raises:
        JobError: If the file cannot be read, or the folder not be written.
    """
    base = job.base
    if not base.gguf:
        return job
    digest = base.identity.rpartition(":")[2][:16] if base.local else base.identity
    folder = home() / "models" / "unpacked" / f"{Path(base.gguf).stem}-{_as_name(digest)}"
    if not (folder / "config.json").is_file():
        report.note(f"unpacks {base.name} into {folder}, once")
        temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
        try:
            _unpack(job, temporary)
            if not folder.exists():  # another process may have been quicker
                temporary.rename(folder)
        except OSError as error:
            raise JobError(
                f"Step {job.step!r}: {base.name} cannot be unpacked into {folder}: {error}\n"
                "It takes 2 bytes a parameter of disk; WMSFORGE_HOME names another place."
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    made = replace(base, root=str(folder), inner="", local=True, revision=None, name=str(folder))
    return replace(job, base=made)


def _unpack(job: Job, folder: Path) -> None:
    root, options = job.base.source()
    try:
        config = AutoConfig.from_pretrained(root, **options)
        model = AutoModelForCausalLM.from_pretrained(
            root, config=config, dtype=DTYPE, quantization_config=GgufConfig(dequantize=True), **options
        )
        tokenizer = load_gguf_tokenizer(Path(cached_file(root, job.base.gguf, revision=job.base.revision)))
    except (OSError, ValueError) as error:
        raise not_loaded(job, error) from error
    model.hf_quantizer = None  # its weights are full now, and transformers would refuse to save them
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _as_name(identity: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in identity)
