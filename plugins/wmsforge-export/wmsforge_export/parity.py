"""The options of the parity gate, and its verdict: a model that answers differently than before stops the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field

from wmsforge.errors import StepError
from wmsforge.options import Options
from wmsforge.steps.machine import Finding

_QUOTED_CHARS = 160


class Served(Options):
    """A running server of the exported model, with OpenAI's API."""

    url: str = Field(description="Its address, such as http://127.0.0.1:30000/v1.")
    model: str = Field(description="What it calls the model.")
    key_variable: str = Field(default="", description="Environment variable that holds its key, if it wants one.")


class ParityOptions(Options):
    """How the model before a hop and the one after it are compared. Each exporter has limits of its own."""

    prompts: int = Field(default=16, ge=0, description="Held-out rows that both models are asked; 0: no gate.")
    answers: int = Field(default=4, ge=0, description="Of these, how many both answer freely; the rest is only scored.")
    max_tokens: int = Field(default=64, ge=1, description="Tokens of an answer that are scored or written at most.")
    rows: Path | None = Field(
        default=None, description="Dataset file with the prompts; by default the eval part of the training dataset."
    )
    kl: float = Field(
        default=0.05, gt=0, description="Mean KL divergence at most, in nats a token: how far the odds of words moved."
    )
    perplexity_ratio: float = Field(
        default=1.03, ge=1, description="Perplexity of the reference answers after the hop to that before it, at most."
    )
    similarity: float = Field(
        default=0.0, ge=0, le=1, description="Mean share of characters that two free answers have in common, at least."
    )
    served: Served | None = Field(default=None, description="A running server of the exported model to ask as well.")


class MergeParity(ParityOptions):
    """Limits of a merge: rounding to bf16 is all that may be seen."""

    kl: float = Field(default=0.02, gt=0, description="Mean KL divergence at most, in nats a token.")
    perplexity_ratio: float = Field(
        default=1.01, ge=1, description="Perplexity of the reference answers after the merge to that before, at most."
    )


def check_key(options: ParityOptions) -> list[Finding]:
    """Return whether the variable with the served model's key is set; nothing if none is asked or wants one."""
    name = options.served.key_variable if options.served and options.prompts else ""
    if not name or os.environ.get(name):
        return []
    return [
        Finding(
            "error", f"parity.served reads its key from the variable {name}, which is not set", f"export {name}=..."
        )
    ]


def judge(figures: dict[str, Any], options: ParityOptions, step: str, hop: str, details: Path) -> None:
    """Pass silently if the model still answers as before.

    Args:
        figures: What the job `parity` returned.
        hop: From what to what, for the message: "merged -> fp8".
        details: The file with all figures.

    Raises:
        StepError: If a limit is broken, with the prompt that shows it.
    """
    broken = _broken(figures, options)
    if not broken:
        return
    key = broken[0][1]
    worst = _shown(figures, key)
    wider = {"kl", "perplexity_ratio", "similarity"} & {key}
    allow = f" Allow it: --set steps.{step}.parity.{key}=..." if wider else ""
    raise StepError(
        f"Step {step!r}: {hop} changed the model: {'; '.join(text for text, _ in broken)}. {worst}\n"
        f"All prompts: {details}.{allow}"
    )


def _broken(figures: dict[str, Any], options: ParityOptions) -> list[tuple[str, str]]:
    """Return what is wrong, each with the option or figure it belongs to. A figure that is missing is wrong."""
    found = []
    if not figures["template_equal"]:
        found.append(("the chat template renders other bytes", "template_equal"))
    if not figures["tokens_equal"]:
        found.append(("the same text becomes other tokens", "tokens_equal"))
    for key, name in (("kl", "KL divergence in nats a token"), ("perplexity_ratio", "perplexity ratio")):
        value, limit = figures[key], getattr(options, key)
        if value is None or value > limit:
            found.append((f"{name} {_number(value)}, at most {limit}", key))
    similar = figures["similarity"]
    if options.answers and (similar is None or similar < options.similarity):
        found.append((f"similarity of answers {_number(similar)}, at least {options.similarity}", "similarity"))
    served = figures.get("served")
    if served:
        if served["template_equal"] is False or served["tokens_equal"] is False:
            found.append((f"{served['server']} reads another prompt than the model was trained on", "served"))
        if served["similarity"] < options.similarity:
            text = f"{served['server']}: similarity of answers {_number(served['similarity'])}"
            found.append((f"{text}, at least {options.similarity}", "similarity"))
    return found


def _shown(figures: dict[str, Any], key: str) -> str:
    """Return the prompt that shows it best."""
    prompts = figures["served"]["by_prompt"] if key == "served" else figures["by_prompt"]
    if key in ("template_equal", "tokens_equal"):
        prompts = [one for one in prompts if not one[key]]
    elif key == "similarity":
        prompts = sorted((one for one in prompts if one["similarity"] is not None), key=lambda one: one["similarity"])
    elif key == "perplexity_ratio":
        prompts = sorted(prompts, key=lambda one: (one["loss_before"] or 0.0) - (one["loss_after"] or float("inf")))
    worst = prompts[0]
    if worst.get("prompt_before"):
        pair = f"before {_quoted(worst['prompt_before'])}, after {_quoted(worst['prompt_after'])}"
    elif worst["answer_before"] or worst["answer_after"]:
        pair = f"before {_quoted(worst['answer_before'])}, after {_quoted(worst['answer_after'])}"
    else:
        pair = f"KL {_number(worst.get('kl'))}"
    return f"Prompt {_quoted(worst['question'])} shows it: {pair}."


def _quoted(text: str) -> str:
    one_line = " ".join(text.split())
    return repr(one_line if len(one_line) <= _QUOTED_CHARS else one_line[: _QUOTED_CHARS - 1] + "…")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
