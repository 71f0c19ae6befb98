"""Loads bases, adapters, merged and quantised models; a base is a hub id, a folder or a GGUF file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from wmsforge.env.worker import JobError

ROUNDED = "dequantized"
"""The base as an adapter trained on 4 bits saw it: its weights rounded to NF4, in bf16."""


@dataclass(frozen=True)
class Trained:
    """An adapter with the base it was trained on."""

    base: str
    revision: str | None
    adapter: str
    nf4: bool
    """Whether the base was in 4 bits while the adapter was trained."""
    double_quantization: bool = True

    @classmethod
    def of(cls, job: dict[str, Any]) -> Trained:
        return cls(job["base"], job.get("revision"), job["adapter"], job["nf4"], job.get("double_quantization", True))


def device() -> torch.device:
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def computing() -> torch.dtype:
    """Return the type that models are compared in: bf16 on a GPU; a CPU writes in fp32 several times faster."""
    return torch.bfloat16 if device().type == "cuda" else torch.float32


def source(base: str, revision: str | None) -> tuple[str, dict[str, Any]]:
    """Return what `from_pretrained` takes for a base; `owner/name/file.gguf` is a file inside a hub repository."""
    path = Path(base).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return str(path.parent), {"gguf_file": path.name}
    if path.exists():
        return str(path), {}
    if path.is_absolute() or "/" not in base:
        return base, {"revision": revision} if revision else {}
    owner, name, *inner = base.split("/", 2)
    inside = {"gguf_file" if inner[0].endswith(".gguf") else "subfolder": inner[0]} if inner else {}
    return f"{owner}/{name}", inside | ({"revision": revision} if revision else {})


def load_base(base: str, revision: str | None, dtype: torch.dtype = torch.bfloat16) -> Any:
    """Load a causal language model in full weights.

    Raises:
        JobError: If there is none at `base`.
    """
    transformers.utils.logging.disable_progress_bar()
    root, options = source(base, revision)
    try:
        if "gguf_file" in options:  # reading the configuration anew takes seconds for a large vocabulary
            options["config"] = AutoConfig.from_pretrained(root, **options)
        model = AutoModelForCausalLM.from_pretrained(root, dtype=dtype, device_map={"": str(device())}, **options)
    except (OSError, ValueError) as error:
        raise JobError(
            f"The base {base!r} cannot be loaded: {type(error).__name__}: {_first_line(error)}\n"
            f"Name the base the adapter was trained on, a folder, a GGUF file or a hub id: option base_model."
        ) from error
    if "gguf_file" in options:  # its weights are full now; transformers would refuse to save or merge them
        model.hf_quantizer = None
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
    model.eval()
    return model


def load_folder(folder: str, dtype: torch.dtype | str = "auto") -> Any:
    """Load a model that an exporter made; FP8 weights are dequantised where the device cannot compute them."""
    transformers.utils.logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map={"": str(device())})
    model.eval()
    return model


def load_tokenizer(trained: Trained) -> Any:
    """Load the tokenizer saved with the adapter, which has the template it was trained with; else the base's."""
    if any(Path(trained.adapter, name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
        return AutoTokenizer.from_pretrained(trained.adapter)
    root, options = source(trained.base, trained.revision)
    return AutoTokenizer.from_pretrained(root, **options)


def with_adapter(trained: Trained, base: str, dtype: torch.dtype = torch.bfloat16) -> Any:
    """Load the base with the adapter beside it, not merged.

    Args:
        base: "dequantized" for the base rounded to NF4, "bf16" for its full weights, "nf4" for the 4-bit layers
            themselves.
        dtype: Of the weights, once they are loaded and rounded in bf16.

    Raises:
        JobError: If the adapter does not fit the base.
    """
    from peft import PeftModel

    from wmsforge_export.jobs.nf4 import keep_layout, quantize_in_place, round_in_place  # not in every environment

    model = load_base(trained.base, trained.revision)
    if base == ROUNDED:
        round_in_place(model, trained.double_quantization)
    elif base == "nf4":
        quantize_in_place(model, trained.double_quantization)
    if dtype != torch.bfloat16:
        model.to(dtype)
    try:
        model = PeftModel.from_pretrained(model, trained.adapter, is_trainable=False)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise JobError(
            f"The adapter {trained.adapter} does not fit the base {trained.base!r}: {_first_line(error)}\n"
            f"Name the base it was trained on: option base_model."
        ) from error
    keep_layout(model)
    model.eval()
    return model


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
