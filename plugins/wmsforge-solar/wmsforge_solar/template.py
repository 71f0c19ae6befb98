"""How a conversation becomes the text that a model continues: its own chat template, one of ours, or the user's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from wmsforge.errors import StepError
from wmsforge.steps.chat_model import Message
from wmsforge_solar.prompt import without

STOP = {
    "solar": ("### System:", "### User:", "### Assistant:"),
    "gemma": ("<start_of_turn>", "<end_of_turn>"),
    "plain": ("\n\n",),
}
"""Our templates, and what ends an answer beside the model's end token."""
ANSWER_LABEL = {"ko": "답변:", "en": "Answer:"}


@dataclass(frozen=True)
class Template:
    """A chat template with what belongs to it."""

    name: str
    """'solar', 'gemma', 'plain', 'own' for the tokenizer's, or the user's path."""
    jinja: str | None
    """None for the tokenizer's own."""
    stop: tuple[str, ...] = ()


def choose(option: str, *, instruct: bool, tokenizer: Any, model: str, model_type: str, id: str) -> Template:
    """Return the template of a loaded tokenizer.

    Args:
        option: 'auto', the name of one of ours, or a path.
        model: Its hub id or path, which tells SOLAR from other Llamas.
        model_type: Its architecture, such as 'llama'.
        id: Of the recipe's model, for messages.

    Raises:
        StepError: If there is none, or no such file.
    """
    if option in STOP:
        return bundled(option)
    if option != "auto":
        return Template(option, read(option, id))
    if not instruct:
        return bundled("plain")
    if tokenizer.chat_template:
        return Template("own", None, STOP["solar"] if "solar" in model.lower() else ())
    if "solar" in model.lower():
        return bundled("solar")
    if model_type.startswith("gemma"):
        return bundled("gemma")
    raise StepError(
        f"Model {id!r}: {model} brings no chat template.\n"
        f"Give one: chat_template: solar, gemma or the path of a Jinja file; or instruct: false for a base model."
    )


def bundled(name: str) -> Template:
    """Return one of ours."""
    text = files("wmsforge_solar").joinpath("templates", f"{name}.jinja").read_text(encoding="utf-8")
    return Template(name, text, STOP[name])


def read(path: str, id: str) -> str:
    """Return the text of the user's template.

    Raises:
        StepError: If there is no such file.
    """
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StepError(
            f"Model {id!r}: chat_template names the file {path!r}, which cannot be read: {error}\n"
            f"Write auto, solar, gemma or the path of a Jinja file."
        ) from error


def render(template: Template, tokenizer: Any, messages: tuple[Message, ...], language: str, id: str) -> str:
    """Return the text of a conversation, up to where the answer begins.

    What parts turns is taken out of the messages first: a document that holds `</s>` or `### User:`
    must not speak as the customer.

    Raises:
        StepError: If the template refuses the conversation, such as one with a system turn.
    """
    from jinja2 import TemplateError

    marks = _marks(template, tokenizer)
    turns = [{"role": message.role, "content": without(marks, message.content)} for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(
            turns,
            chat_template=template.jinja,
            tokenize=False,
            add_generation_prompt=True,
            answer_label=ANSWER_LABEL.get(language, ANSWER_LABEL["en"]),
        )
    except TemplateError as error:
        raise StepError(
            f"Model {id!r}: the chat template {template.name!r} refuses the conversation: {error}\n"
            f"Use another: chat_template: solar, gemma or the path of a Jinja file."
        ) from error
    return text


def _marks(template: Template, tokenizer: Any) -> re.Pattern[str]:
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    turns = {stop for stop in template.stop if stop.strip()}
    return re.compile("|".join(map(re.escape, sorted(special | turns, key=len, reverse=True))) or r"(?!)")
