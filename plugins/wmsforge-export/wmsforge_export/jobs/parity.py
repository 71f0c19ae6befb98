"""The job that asks the model before a hop and the model after it the same prompts."""

from __future__ import annotations

import gc
import math
import tempfile
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from wmsforge.env.worker import Report
from wmsforge_export.jobs.compare import compare
from wmsforge_export.jobs.loading import (
    ROUNDED,
    Trained,
    computing,
    load_base,
    load_folder,
    load_tokenizer,
    with_adapter,
)
from wmsforge_export.jobs.observe import Observed, observe
from wmsforge_export.jobs.rows import Conversation, read_rows, spread
from wmsforge_export.jobs.served import ask_llama, ask_server


def parity(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the figures of `compare`, the worst prompt first; and of the served model, if one is asked.

    Args:
        job: before and after, each an adapter (base, revision, adapter, nf4), a model's folder (path), or a GGUF file
            (path, and tokenizer, a folder); rows, prompts, answers, max_tokens; scratch, a folder for
            log-probabilities, which are deleted again; served, None, {"gguf": path} or {"url", "model",
            "key_variable"}.
    """
    rows = spread(read_rows(Path(job["rows"])), job["prompts"])
    scratch = Path(job["scratch"])
    scratch.mkdir(parents=True, exist_ok=True)
    seen = []
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        folders = [Path(temporary, "before"), Path(temporary, "after")]
        for place, folder in zip((job["before"], job["after"]), folders, strict=True):
            report.note(f"parity: asking {place.get('adapter') or place['path']} {len(rows)} prompts")
            tokenizer, observed = _observe(place, rows, folder, job, report)
            seen.append(observed)
            gc.collect()
        figures = compare(seen[0], folders[0], seen[1], folders[1])
    figures["by_prompt"].sort(key=lambda one: -math.inf if one["kl"] is None else -one["kl"])
    if served := job.get("served"):
        asked, max_tokens = seen[1][: job["answers"]], job["max_tokens"]
        answered = rows[: len(asked)]
        if "gguf" in served:
            figures["served"] = ask_llama(served["gguf"], answered, asked, tokenizer.bos_token or "", max_tokens)
        else:
            figures["served"] = ask_server(served, answered, asked, max_tokens)
    return figures


def _observe(
    place: dict[str, Any], rows: list[Conversation], folder: Path, job: dict[str, Any], report: Report
) -> tuple[Any, list[Observed]]:
    if "adapter" in place:
        trained = Trained.of(place)
        model = with_adapter(trained, ROUNDED if trained.nf4 else "bf16", computing())
        tokenizer = load_tokenizer(trained)
    elif place["path"].endswith(".gguf"):
        model = load_base(place["path"], None).to(computing())
        tokenizer = AutoTokenizer.from_pretrained(place["tokenizer"])
    else:
        model = load_folder(place["path"], computing())
        tokenizer = AutoTokenizer.from_pretrained(place["path"])
    answers, max_tokens = job["answers"], job["max_tokens"]
    return tokenizer, observe(model, tokenizer, rows, folder, report, answers=answers, max_tokens=max_tokens)
