"""Two models' observations of the same prompts, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from wmsforge_export.jobs.loss import negative_log_likelihoods
from wmsforge_export.jobs.observe import Observed, logprobs_of

SHOWN_CHARS = 400


def compare(reference: Sequence[Observed], before: Path, candidate: Sequence[Observed], after: Path) -> dict[str, Any]:
    """Return the figures of a hop: over all prompts, and of each.

    `kl` is KL(reference || candidate) in nats a token, over the tokens of the reference answers; None where the two
    read other tokens or a figure is not finite. `perplexity` is that of the reference answers. `first_divergence`
    counts the tokens with which both greedy answers begin, None where they are equal; `similarity` is the share of
    characters that the two answers have in common, 0..1.
    """
    prompts = [
        _prompt(one, other, logprobs_of(before, number), logprobs_of(after, number))
        for number, (one, other) in enumerate(zip(reference, candidate, strict=True))
    ]
    tokens = sum(one["tokens"] for one in prompts)
    loss_before, loss_after = (_mean(prompts, key) for key in ("loss_before", "loss_after"))
    perplexity_before, perplexity_after = (
        None if loss is None else math.exp(loss) for loss in (loss_before, loss_after)
    )
    answered = [one for one in prompts if one["similarity"] is not None]
    return {
        "prompts": len(prompts),
        "tokens": tokens,
        "template_equal": all(one["template_equal"] for one in prompts),
        "tokens_equal": all(one["tokens_equal"] for one in prompts),
        "kl": _mean(prompts, "kl"),
        "top_token_equal": _mean(prompts, "top_token_equal"),
        "loss_before": loss_before,
        "loss_after": loss_after,
        "perplexity_before": perplexity_before,
        "perplexity_after": perplexity_after,
        "perplexity_ratio": perplexity_after / perplexity_before
        if perplexity_after is not None and perplexity_before
        else None,
        "similarity": sum(one["similarity"] for one in answered) / len(answered) if answered else None,
        "answers_equal": sum(one["first_divergence"] is None for one in answered),
        "answers": len(answered),
        "by_prompt": prompts,
    }


def divergence(before: Sequence[int], after: Sequence[int]) -> int | None:
    """Return how many tokens two answers begin with in common, None if they are equal."""
    if list(before) == list(after):
        return None
    pairs = zip(before, after, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))


def similarity(before: str, after: str) -> float:
    """Return the share of characters in common, 0..1."""
    return SequenceMatcher(None, before, after, autojunk=False).ratio()


def _prompt(one: Observed, other: Observed, before: Any, after: Any) -> dict[str, Any]:
    same_tokens = one.prompt_tokens == other.prompt_tokens and one.reference == other.reference
    scored = same_tokens and before.shape == after.shape
    kl = (before.exp() * (before - after)).sum(-1).mean() if scored else None
    answered = one.answer is not None and other.answer is not None
    return {
        "question": one.question,
        "template_equal": one.prompt.encode() == other.prompt.encode(),
        "tokens_equal": same_tokens,
        "tokens": len(one.reference),
        "kl": _finite(kl),
        "top_token_equal": float((before.argmax(-1) == after.argmax(-1)).float().mean()) if scored else None,
        "loss_before": _finite(negative_log_likelihoods(before, one.reference).mean()),
        "loss_after": _finite(negative_log_likelihoods(after, other.reference).mean()),
        "first_divergence": divergence(one.answer_tokens, other.answer_tokens) if answered else None,
        "similarity": similarity(one.answer or "", other.answer or "") if answered else None,
        "answer_before": (one.answer or "")[:SHOWN_CHARS],
        "answer_after": (other.answer or "")[:SHOWN_CHARS],
        "prompt_before": one.prompt if one.prompt != other.prompt else "",
        "prompt_after": other.prompt if one.prompt != other.prompt else "",
    }


def _mean(prompts: Sequence[dict[str, Any]], key: str) -> float | None:
    """Return the mean over all tokens; None if one prompt has no such figure, for then the rest proves nothing."""
    if any(one[key] is None for one in prompts):
        return None
    return float(sum(one[key] * one["tokens"] for one in prompts) / sum(one["tokens"] for one in prompts))


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
