"""The chat template that a training uses: the model's own, one of ours, or the user's."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmsforge.env.worker import JobError
from wmsforge_qlora.jobs.settings import Job

NAMED = ("solar", "gemma", "chatml")
_MARK = re.compile(r"(\{%[-+]?\s*)(end)?generation(\s*[-+]?%\})")


def choose(job: Job, tokenizer: Any, model_type: str) -> str:
    """Give the tokenizer the template of the recipe and return its name: 'own', a name of ours, or a path.

    Raises:
        JobError: If the model has none and nothing tells which one it needs, or the user's file cannot be read.
    """
    option = job.settings.chat_template
    if option == "auto":
        option = _by_model(job, tokenizer, model_type)
    if option == "own":
        return option
    if option in NAMED:
        tokenizer.chat_template = (files("wmsforge_qlora") / "templates" / f"{option}.jinja").read_text("utf-8")
        return option
    try:
        tokenizer.chat_template = Path(option).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(
            f"Step {job.step!r}: chat_template names the file {option!r}, which cannot be read: {error}\n"
            f"Write auto, {', '.join(NAMED)} or the path of a Jinja file."
        ) from error
    return option


def is_marked(template: str) -> bool:
    """Tell whether a template says itself which text is the assistant's."""
    return _MARK.search(template) is not None


def serving_copy(template: str) -> str:
    """Return the template without generation marks, which servers do not know; it renders the same text.

    The marks become `{% if true %}` blocks, for the white space around a block is trimmed as around nothing else.
    """
    return _MARK.sub(lambda mark: f"{mark[1]}{'endif' if mark[2] else 'if true'}{mark[3]}", template)


def _by_model(job: Job, tokenizer: Any, model_type: str) -> str:
    if tokenizer.chat_template:
        return "own"
    if "solar" in job.base.name.lower():
        return "solar"
    if model_type.startswith("gemma"):
        return "gemma"
    raise JobError(
        f"Step {job.step!r}: the base {job.base.name} brings no chat template that says how turns are written.\n"
        f"Choose one: {job.setting('chat_template')}chatml (or solar, gemma, or the path of a Jinja file)."
    )
