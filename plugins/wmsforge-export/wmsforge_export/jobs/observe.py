"""What a model says to a set of prompts, kept on disk so that two models never share the memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from wmsforge.env.worker import Report
from wmsforge_export.jobs.conversation import end_tokens, render
from wmsforge_export.jobs.loss import answer_logprobs
from wmsforge_export.jobs.rows import Conversation


@dataclass(frozen=True)
class Observed:
    """One prompt and what a model made of it."""

    question: str
    """The last thing the user says."""
    prompt: str
    """What the template renders, up to where the answer begins."""
    prompt_tokens: list[int]
    reference: list[int]
    """Tokens of the reference answer that were scored."""
    answer: str | None
    """What the model answers by itself, greedily; None where it was not asked to."""
    answer_tokens: list[int]


def observe(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Conversation],
    folder: Path,
    report: Report,
    *,
    answers: int,
    max_tokens: int,
) -> list[Observed]:
    """Score the reference answers, and let the model answer the first `answers` prompts.

    The log-probabilities of each row go to `folder/N.safetensors`, shape (tokens, vocabulary), float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen = []
    ends = end_tokens(tokenizer, model)
    for number, row in enumerate(rows):
        example = render(tokenizer, row)
        logprobs = answer_logprobs(model, example, max_tokens)
        save_file({"logprobs": logprobs.contiguous().cpu()}, folder / f"{number}.safetensors")
        written = answer_of(model, example.prompt_tokens, ends, max_tokens) if number < answers else []
        seen.append(
            Observed(
                question=row[-2]["content"] if len(row) > 1 else "",
                prompt=example.prompt,
                prompt_tokens=example.prompt_tokens,
                reference=example.answer_tokens[:max_tokens],
                answer=tokenizer.decode(written, skip_special_tokens=True) if number < answers else None,
                answer_tokens=written,
            )
        )
        report.progress(number + 1, len(rows), unit="prompts")
    text = json.dumps([asdict(one) for one in seen], ensure_ascii=False)
    (folder / "observed.json").write_text(text, encoding="utf-8")
    return seen


def logprobs_of(folder: Path, number: int) -> torch.Tensor:
    return load_file(folder / f"{number}.safetensors")["logprobs"]


def answer_of(model: Any, prompt: Sequence[int], ends: Sequence[int], max_tokens: int) -> list[int]:
    """Return the tokens of the greedy answer, without what ends it."""
    tokens = torch.tensor([list(prompt)], device=model.device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            max_new_tokens=max_tokens,
            eos_token_id=list(ends),
            pad_token_id=ends[0],
        )
    written: list[int] = out[0, len(prompt) :].tolist()
    return written[:-1] if written and written[-1] in ends else written
