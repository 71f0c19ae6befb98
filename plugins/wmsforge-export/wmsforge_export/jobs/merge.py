"""The job that merges an adapter into its base."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import torch

from wmsforge.env.worker import JobError, Report
from wmsforge_export.jobs.conversation import end_tokens
from wmsforge_export.jobs.loading import ROUNDED, Trained, load_tokenizer, with_adapter
from wmsforge_export.jobs.loss import held_out_loss
from wmsforge_export.jobs.rows import read_rows, spread
from wmsforge_export.jobs.template import serving_template

SHARD = "4GB"
LOSS_ROWS = 64
"""Rows whose loss chooses between two bases."""


def merge(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the merged model into the folder `out`; return the base it was merged into, and losses if measured.

    Args:
        job: base, revision, adapter, nf4, double_quantization; merge_base "dequantized", "bf16" or "auto"; rows, a
            dataset file for "auto"; out.
    """
    trained = Trained.of(job)
    tokenizer = load_tokenizer(trained)
    choice: str = job["merge_base"]
    losses: dict[str, float] = {}
    if choice == "auto":
        choice, losses = _nearer(trained, tokenizer, job["rows"], report)
    model = merge_layers(with_adapter(trained, choice), report)
    model.generation_config.eos_token_id = end_tokens(tokenizer, model)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    save(model, tokenizer, Path(job["out"]))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"merge_base": choice, "losses": losses, "parameters": parameters}


def merge_layers(model: Any, report: Report | None = None) -> Any:
    """Return the base with the adapter in its weights, each layer merged in fp32 and rounded to its type once.

    Only one layer is in fp32 at a time: the peak of memory is the model and that layer.

    Raises:
        JobError: If a merged weight is not finite.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [layer for layer in model.modules() if isinstance(layer, BaseTunerLayer)]
    for number, layer in enumerate(layers, 1):
        base = layer.get_base_layer()
        dtype = base.weight.dtype
        base.to(torch.float32)
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:
            raise JobError(f"The adapter cannot be merged: {error}\nTrain it again; its weights are broken.") from error
        base.to(dtype)
        if report is not None:
            report.progress(number, len(layers), unit="layers")
    return model.unload()


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Write bf16 safetensors shards, the tokenizer, and a template that servers read."""
    model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(out, max_shard_size=SHARD)
    if tokenizer.chat_template:
        tokenizer.chat_template = serving_template(tokenizer.chat_template)
    tokenizer.save_pretrained(out)


def _nearer(trained: Trained, tokenizer: Any, rows: str | None, report: Report) -> tuple[str, dict[str, float]]:
    """Return the base whose merged model has the loss nearest to the adapter's, and the losses."""
    if not trained.nf4:
        return "bf16", {}
    if rows is None:
        raise JobError(
            "base: auto measures the held-out loss, and there are no held-out rows.\n"
            "Write base: dequantized, or give rows: parity.rows, or eval_share to the dataset."
        )
    chosen = spread(read_rows(Path(rows)), LOSS_ROWS)
    losses: dict[str, float] = {}
    for kind in ("nf4", ROUNDED, "bf16"):
        model = with_adapter(trained, kind)
        if kind != "nf4":
            model = merge_layers(model)
        losses["adapter" if kind == "nf4" else kind] = held_out_loss(model, tokenizer, chosen, report)
        del model
        gc.collect()
    choice = min((ROUNDED, "bf16"), key=lambda kind: abs(losses[kind] - losses["adapter"]))
    report.note(", ".join(f"{kind} {loss:.4f}" for kind, loss in losses.items()) + f": merged into {choice}")
    return choice, losses
