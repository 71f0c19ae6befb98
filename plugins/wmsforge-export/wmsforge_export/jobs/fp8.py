"""The job that quantises a model to FP8 in the compressed-tensors format, with llmcompressor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import AutoTokenizer

from wmsforge.env.worker import JobError, Report
from wmsforge_export.jobs.conversation import render
from wmsforge_export.jobs.loading import load_folder
from wmsforge_export.jobs.rows import read_rows, spread

SCHEMES = {"dynamic": "FP8_DYNAMIC", "block": "FP8_BLOCK", "static": "FP8"}
"""Our names for llmcompressor's schemes."""
_TOKENIZER = ("tokenizer*", "chat_template*", "special_tokens*", "added_tokens*", "*.model", "vocab*", "merges*")


def quantize(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the FP8 model into the folder `out`, read it back, return how many weights are in FP8.

    Args:
        job: path of a model's folder; scheme "dynamic", "block" or "static"; ignore, names or `re:` patterns of
            layers that stay; rows, calibration_rows and max_length for "static"; out.
    """
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier

    source, out = Path(job["path"]), Path(job["out"])
    model = load_folder(str(source), torch.bfloat16)
    if getattr(model.config, "quantization_config", None):
        raise JobError(f"The model {source} is quantised already.\nGive fp8 the merged model: from: <the merge step>.")
    recipe = QuantizationModifier(targets="Linear", scheme=SCHEMES[job["scheme"]], ignore=job["ignore"])
    report.note(f"{SCHEMES[job['scheme']]}: quantising {source}")
    if job["scheme"] == "static":
        data = _calibration(job, source)
        oneshot(model=model, recipe=recipe, dataset=data, num_calibration_samples=len(data))
    else:
        oneshot(model=model, recipe=recipe)
    model.save_pretrained(out, save_compressed=True)
    for pattern in _TOKENIZER:  # as they are: the template must stay the same bytes
        for file in source.glob(pattern):
            shutil.copy2(file, out)
    return read_back(out)


def read_back(out: Path) -> dict[str, Any]:
    """Return what the written files hold.

    Raises:
        JobError: If a weight that the configuration calls quantised is not in FP8, or has no scale.
    """
    types: dict[str, str] = {}
    for file in sorted(out.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # it is no mapping
                types[name] = tensors.get_slice(name).get_dtype()
    quantized = [name for name, kind in types.items() if kind == "F8_E4M3"]
    scaleless = [name for name in quantized if f"{name}_scale" not in types]
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    if not quantized or scaleless:
        what = f"{scaleless[0]} has no scale" if scaleless else "no weight is in FP8"
        raise JobError(f"The FP8 checkpoint {out} is broken: {what}.\nCheck the option ignore: {config['ignore']}")
    return {
        "fp8_weights": len(quantized),
        "other_tensors": len(types) - len(quantized) - sum(name.endswith("_scale") for name in types),
        "quantization_config": config,
        "bytes": sum(file.stat().st_size for file in out.glob("*.safetensors")),
    }


def _calibration(job: dict[str, Any], source: Path) -> Any:
    from datasets import Dataset

    tokenizer = AutoTokenizer.from_pretrained(source)
    rows = spread(read_rows(Path(job["rows"])), job["calibration_rows"])
    examples = [render(tokenizer, row) for row in rows]
    tokens = [(one.prompt_tokens + one.answer_tokens)[: job["max_length"]] for one in examples]
    return Dataset.from_dict({"input_ids": tokens, "attention_mask": [[1] * len(one) for one in tokens]})
