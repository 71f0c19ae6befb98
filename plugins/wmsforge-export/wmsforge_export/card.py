"""The model card: what was tuned on what, how it was checked, under which terms, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

_TRAINING = {
    "rows": "rows trained on",
    "held_out_rows": "rows held out",
    "not_trained_rows": "rows left out, too long or empty",
    "tokens": "tokens",
    "steps": "steps",
    "eval_loss_base": "held-out loss of the base",
    "eval_loss": "held-out loss of the adapter",
    "quantization": "base while training",
    "template": "chat template",
    "tokens_per_s": "tokens per second",
    "device": "device",
}
"""Facts of a trainer that the card shows, with their words."""


def render_model_card(
    *,
    name: str,
    base: str,
    license: str,
    non_commercial: bool,
    language: str,
    facts: Mapping[str, Any],
    evaluation: Mapping[str, Any] | None,
    recipe: str,
    files: Sequence[str],
) -> str:
    """Return the card as Markdown with the front matter that the model hub reads.

    Args:
        base: Hub id or path of the base; a path is named by its last part only.
        facts: Of the published model: training, hops, format, ...
        evaluation: Figures of an evaluation, nested by variant; None if there was none.
        recipe: Text of the recipe; empty if it is not published.
        files: What is in the folder.
    """
    of_hub = not base.startswith((".", "/", "~")) and base.count("/") == 1
    front = {
        "language": [language],
        "license": license,
        "library_name": "peft" if facts.get("format") == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["wmsforge", "synthetic-data", *([facts["format"]] if facts.get("format") else [])],
        **({"base_model": base} if of_hub else {}),
    }
    shown = base if of_hub else base.replace("\\", "/").rstrip("/").rpartition("/")[2]
    terms = f"The base is under `{license}`, and so is what is made of it."
    sections = [
        f"---\n{yaml.safe_dump(front, allow_unicode=True, sort_keys=False)}---",
        f"# {name}",
        f"`{shown}`, tuned with QLoRA on questions and answers about one trade, made from its documents by wmsforge.",
        "## Licence",
        terms + (" It forbids commercial use." if non_commercial else ""),
        "## Training",
        _table(("figure", "value"), _training(facts.get("training", {}))) or "The trainer told nothing.",
        "## Evaluation",
        _evaluation(evaluation) if evaluation else "Not evaluated.",
        "## What export changed",
        _hops(facts.get("hops", [])),
        "## Files",
        "\n".join(f"- `{file}`" for file in files),
        *(["## Recipe", f"```yaml\n{recipe.rstrip()}\n```"] if recipe else []),
        "## Limits",
        "- The training answers are a model's own, made from documents and filtered; some of them are wrong.\n"
        "- It knows the documents as they were when the dataset was made, and it answers confidently beyond them: give "
        "it retrieved passages where answers must hold, and have a person check what matters.\n"
        "- The evaluation asks what the documents say. Nothing was measured about safety, bias or other languages.",
    ]
    return "\n\n".join(sections) + "\n"


def _training(training: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(words, training[key]) for key, words in _TRAINING.items() if training.get(key) is not None]


def _evaluation(figures: Mapping[str, Any]) -> str:
    variants = {key: value for key, value in figures.items() if isinstance(value, Mapping)}
    others = [(key.replace("_", " "), value) for key, value in figures.items() if key not in variants]
    names = list(dict.fromkeys(name for value in variants.values() for name in value))
    lines = [(variant, *(value.get(name) for name in names)) for variant, value in variants.items()]
    tables = [_table(("variant", *names), lines), _table(("figure", "value"), others)]
    return "\n\n".join(table for table in tables if table)


def _hops(hops: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for hop in hops:
        parity = hop.get("parity", {})
        if parity.get("checked"):
            figures = [parity.get(key) for key in ("prompts", "kl", "perplexity_ratio", "similarity")]
            lines.append((hop["exporter"], *figures))
        else:
            lines.append((hop["exporter"], "not checked", "", "", ""))
    head = ("step", "prompts", "KL, nats a token", "perplexity ratio", "similarity of answers")
    return _table(head, lines) or "Nothing: this is the adapter as it was trained."


def _table(head: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    if not lines:
        return ""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, list):  # a figure with its 95 % interval
        first, *interval = map(_cell, value)
        return f"{first} [{', '.join(interval)}]"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return " ".join(("" if value is None else str(value)).split()).replace("|", "\\|")
