"""A training in this process, from the rows to the saved adapter."""

from __future__ import annotations

import json
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, set_seed

from wmsforge.env.worker import JobError, Report
from wmsforge_qlora.jobs.adapter import FACTS, existing_adapter, fetch, new_adapter
from wmsforge_qlora.jobs.checkpoints import STATE, newest_complete, step_of
from wmsforge_qlora.jobs.conservation import LIST, Prepared, prepare
from wmsforge_qlora.jobs.fit import Fit
from wmsforge_qlora.jobs.model import hush, load_base, load_config, load_tokenizer
from wmsforge_qlora.jobs.rows import hold_out, read_rows, write_rows
from wmsforge_qlora.jobs.settings import Job
from wmsforge_qlora.jobs.template import choose, serving_copy
from wmsforge_qlora.jobs.tokens import Tokenization
from wmsforge_qlora.jobs.unpacked import with_unpacked_base

HELD_OUT = "held_out.jsonl"
SERVING_TEMPLATE = "serving_template.jinja"
GIB = 2**30


def train_here(job: Job, report: Report) -> dict[str, Any]:
    """Do the job of `wmsforge_qlora.jobs.train.train` in this process."""
    adapter = job.folder / "adapter"
    if (adapter / FACTS).is_file():  # a kill came after the training and before the step was stored
        return _result(job, adapter, json.loads((adapter / FACTS).read_text(encoding="utf-8")))
    if job.settings.threads:
        torch.set_num_threads(job.settings.threads)
    hush()
    if job.preset_set:
        report.note("the preset sets " + ", ".join(f"{name}: {value}" for name, value in job.preset_set.items()))
    if job.settings.backend == "trl":
        job = with_unpacked_base(job, report)
    tokenizer = load_tokenizer(job)
    config = load_config(job)
    template = choose(job, tokenizer, config.model_type)
    prepared = _rows(job, tokenizer, report)
    report.note(
        f"{len(prepared.train):,} rows to train on, {len(prepared.held_out):,} held out; chat template: {template}"
    )
    set_seed(job.settings.seed)
    model = _model(job, config, report)
    fit = Fit(job, model, tokenizer, prepared, report)
    before = fit.losses_before()
    checkpoint = _checkpoint(job, report)
    set_seed(job.settings.seed)
    trained = fit.train(checkpoint)
    start, best = (before | trained).get("eval_loss_start"), trained.get("eval_loss")
    if start is not None and best is not None and best >= start:
        report.warn(f"the training made nothing better: validation loss {start:.4f} before it, {best:.4f} at its best")
    facts = {
        "base": job.base.name,
        "base_identity": job.base.identity,
        "base_revision": getattr(config, "_commit_hash", None) or job.base.revision,
        "template": template,
        "quantization": job.settings.quantization,
        "double_quantization": job.settings.quantization == "nf4",
        "backend": job.settings.backend,
        "rows": len(prepared.train),
        "held_out_rows": len(prepared.held_out),
        "not_trained_rows": len(prepared.left_out),
        "truncated_rows": prepared.cut_rows,
        "truncated_tokens": prepared.cut_tokens,
        **before,
        **trained,
        "tokens_per_s": round(trained["tokens"] / trained["seconds"], 1) if checkpoint is None else None,
        "resumed_at_step": step_of(checkpoint) if checkpoint else None,
        "peak_memory_gib": round(_peak_bytes() / GIB, 2),
        "device": _device_name(),
    }
    _save(job, fit, tokenizer, adapter, facts)
    return _result(job, adapter, facts)


def _rows(job: Job, tokenizer: Any, report: Report) -> Prepared:
    rows = read_rows(job.rows)
    if job.eval_rows is None:
        rows, held_out = hold_out(rows, job.settings.eval_share, job.settings.seed)
    else:
        held_out = read_rows(job.eval_rows)
    prepared = prepare(job, rows, held_out, Tokenization(tokenizer), report)
    write_rows(job.folder / HELD_OUT, prepared.held_out_rows)
    if not prepared.held_out:
        report.warn("no rows are held out, so nobody knows when to stop: the last weights are kept, not the best")
    return prepared


def _model(job: Job, config: Any, report: Report) -> Any:
    """Return the base with the adapter to train."""
    if job.settings.backend == "unsloth":
        from wmsforge_qlora.jobs.unsloth_model import load_with_unsloth

        return load_with_unsloth(job, report)
    base = load_base(job, config)
    if job.resume_from is None:
        return new_adapter(job, base)
    return existing_adapter(job, base, fetch(job, job.resume_from), report)


def _checkpoint(job: Job, report: Report) -> Path | None:
    """Return where the training goes on: its own newest checkpoint, else the one that the recipe continues.

    Raises:
        JobError: If the recipe continues an adapter that has no state of a training.
    """
    own = newest_complete(job.folder / "checkpoints")
    if own is not None:
        report.note(f"continues at step {step_of(own)}, from {own}")
        return own
    if job.settings.resume == "state" and job.resume_from is not None:
        folder = fetch(job, job.resume_from)
        missing = [name for name in STATE if not (folder / name).is_file()]
        if missing:
            raise JobError(
                f"Step {job.step!r}: resume_from {job.resume_from.name} has no {', '.join(missing)}, so its training "
                f"cannot be continued.\nBegin a new training with its weights: {job.setting('resume')}weights"
            )
        report.note(f"continues the state of {job.resume_from.name}")
        return folder
    return None


def _save(job: Job, fit: Fit, tokenizer: Any, adapter: Path, facts: dict[str, Any]) -> None:
    """Write the adapter whole or not at all, then remove the checkpoints, which are large and of no more use."""
    temporary = adapter.with_name("adapter.tmp")
    trainer = fit.trainer
    if trainer.is_world_process_zero():
        shutil.rmtree(temporary, ignore_errors=True)
    trainer.accelerator.unwrap_model(trainer.model).peft_config["default"].base_model_name_or_path = job.base.name
    trainer.save_model(str(temporary))  # all ranks give their shards
    if not trainer.is_world_process_zero():
        return
    (temporary / "training_args.bin").unlink(missing_ok=True)  # a pickle of no use to anyone
    tokenizer.save_pretrained(temporary)
    _check_saved(tokenizer, temporary, trainer.train_dataset[0]["input_ids"])
    (temporary / SERVING_TEMPLATE).write_text(serving_copy(tokenizer.chat_template), encoding="utf-8")
    curve = job.folder / "curve.jsonl"
    curve.write_text("".join(f"{json.dumps(entry)}\n" for entry in trainer.state.log_history), encoding="utf-8")
    (temporary / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
    shutil.rmtree(adapter, ignore_errors=True)
    temporary.replace(adapter)
    shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)


def _check_saved(tokenizer: Any, folder: Path, row: list[int]) -> None:
    """Make sure that who loads the saved tokenizer reads a row as it was trained.

    Raises:
        RuntimeError: If not; the adapter would answer nonsense in every other program.
    """
    text = tokenizer.decode(row)
    saved = AutoTokenizer.from_pretrained(folder)
    found, right = (one(text, add_special_tokens=False)["input_ids"] for one in (saved, tokenizer))
    if found != right:
        raise RuntimeError(
            f"the tokenizer that was saved ({type(saved).__name__}) reads a row in {len(found)} tokens, the one that "
            f"was trained with ({type(tokenizer).__name__}) in {len(right)}"
        )


def _result(job: Job, adapter: Path, facts: dict[str, Any]) -> dict[str, Any]:
    files = {"not_trained": LIST, "eval_path": HELD_OUT, "curve_path": "curve.jsonl", "tensorboard": "tensorboard"}
    places = {name: str(job.folder / file) for name, file in files.items() if (job.folder / file).exists()}
    return {
        "adapter": str(adapter),
        "also": [place for place in places.values() if Path(place).is_file()],
        "facts": facts | places,
    }


def _peak_bytes() -> int:
    if torch.cuda.is_available():
        peak: int = torch.cuda.max_memory_allocated()
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads"
