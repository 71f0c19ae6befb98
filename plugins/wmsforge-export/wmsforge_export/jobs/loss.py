"""The loss of a model on reference answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from wmsforge.env.worker import Report
from wmsforge_export.jobs.conversation import Example, render
from wmsforge_export.jobs.rows import Conversation


def answer_logprobs(model: Any, example: Example, max_tokens: int | None = None) -> torch.Tensor:
    """Return the log-probabilities of each token of the reference answer, float32, shape (tokens, vocabulary)."""
    answer = example.answer_tokens[:max_tokens]
    tokens = torch.tensor([example.prompt_tokens + answer], device=model.device)
    # the last token's successor is nobody's concern; only the answer's logits are made, the head is the largest layer
    with torch.inference_mode():
        logits = model(input_ids=tokens, logits_to_keep=len(answer) + 1).logits[0, :-1].float()
        return torch.log_softmax(logits, dim=-1)


def negative_log_likelihoods(logprobs: torch.Tensor, answer: Sequence[int]) -> torch.Tensor:
    """Return the loss of each answer token in nats, shape (tokens,)."""
    wanted = torch.tensor(answer[: len(logprobs)], device=logprobs.device)
    return -logprobs.gather(1, wanted[:, None])[:, 0]


def held_out_loss(model: Any, tokenizer: Any, rows: Sequence[Conversation], report: Report) -> float:
    """Return nats per token of the answers, every token weighing the same."""
    total, tokens = 0.0, 0
    for number, row in enumerate(rows, 1):
        example = render(tokenizer, row)
        losses = negative_log_likelihoods(answer_logprobs(model, example), example.answer_tokens)
        total, tokens = total + float(losses.sum()), tokens + len(losses)
        report.progress(number, len(rows), unit="rows")
    return total / tokens
