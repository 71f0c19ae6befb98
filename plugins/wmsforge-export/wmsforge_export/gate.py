"""Runs the parity gate of an exporter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wmsforge.files import write_atomically
from wmsforge.steps.base import Component
from wmsforge_export.parity import ParityOptions, judge

PARITY = "wmsforge_export.jobs.parity:parity"


async def gate(
    component: Component,
    environment: Any,
    *,
    before: dict[str, Any],
    after: dict[str, Any],
    rows: Path | None,
    hop: str,
    served: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Ask both models, keep all figures in `parity.json`, return those of all prompts together.

    Args:
        before: What the job `parity` takes as `before`; likewise `after`.
        rows: The prompts; None leaves the gate out.
        served: A served form to ask as well, in place of the option `parity.served`.

    Raises:
        StepError: If the model answers differently than before.
    """
    options: ParityOptions = component.options.parity
    if rows is None:
        component.context.warn("parity.prompts is 0: nothing checks that the exported model answers as before.")
        return {"checked": False}
    folder = component.context.folder
    figures = await environment.run(
        PARITY,
        {
            "before": before,
            "after": after,
            "rows": str(rows),
            "prompts": options.prompts,
            "answers": options.answers,
            "max_tokens": options.max_tokens,
            "scratch": str(folder / "scratch"),
            "served": options.served.model_dump() if options.served else served,
        },
        out_of_memory="One model at a time is in memory, with the log-probabilities of a prompt: "
        "lower parity.max_tokens, or use a machine with more memory.",
    )
    details = folder / "parity.json"
    text = json.dumps({"hop": hop, **figures}, ensure_ascii=False, indent=1)
    write_atomically(details, text.encode())
    judge(figures, options, component.context.step, hop, details)
    return {"checked": True, **summary(figures)}


def summary(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures without those of each prompt."""
    short = {key: value for key, value in figures.items() if key != "by_prompt"}
    if "served" in short:
        short["served"] = {key: value for key, value in short["served"].items() if key != "by_prompt"}
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in short.items()}
