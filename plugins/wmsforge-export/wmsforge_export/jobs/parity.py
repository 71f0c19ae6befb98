"""The job that asks the model before a hop and the model after it the same prompts."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from wmsforge.env.worker import Report
from wmsforge_export.jobs.compare import compare
from wmsforge_export.jobs.loading import ROUNDED, Trained, load_base, load_folder, load_tokenizer, with_adapter
from wmsforge_export.jobs.observe import Observed, observe
from wmsforge_export.jobs.rows import Conversation, read_rows, spread


def parity(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the figures of `wmsforge_export.jobs.compare.compare`.

    Args:
        job: before and after, each an adapter (base, revision, adapter, nf4) or a folder or GGUF file (path);
            rows, prompts, answers, max_tokens; scratch, a folder for log-probabilities, which is emptied again.
    """
    rows = spread(read_rows(Path(job["rows"])), job["prompts"])
    scratch = Path(job["scratch"])
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as temporary:
        folders = [Path(temporary, "before"), Path(temporary, "after")]
        seen = []
        for place, folder in zip((job["before"], job["after"]), folders, strict=True):
            seen.append(_observe(place, rows, folder, job, report))
            gc.collect()
        figures = compare(seen[0], folders[0], seen[1], folders[1])
    figures["by_prompt"].sort(key=lambda one: -one["kl"])
    return figures


def _observe(
    place: dict[str, Any], rows: list[Conversation], folder: Path, job: dict[str, Any], report: Report
) -> list[Observed]:
    if "adapter" in place:
        trained = Trained.of(place)
        model = with_adapter(trained, ROUNDED if trained.nf4 else "bf16")
        tokenizer = load_tokenizer(trained)
    elif place["path"].endswith(".gguf"):
        model = load_base(place["path"], None)
        tokenizer = AutoTokenizer.from_pretrained(place["tokenizer"])
    else:
        model = load_folder(place["path"])
        tokenizer = AutoTokenizer.from_pretrained(place["path"])
    return observe(
        model, tokenizer, rows, folder, report, answers=job["answers"], max_tokens=job["max_tokens"]
    )
