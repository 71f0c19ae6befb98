"""A row as the tokens a model reads: what it is asked, and what it should answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wmsforge.env.worker import JobError
from wmsforge_export.jobs.rows import Conversation


@dataclass(frozen=True)
class Example:
    """One row, rendered by a chat template."""

    messages: Conversation
    prompt: str
    """The rendered text up to where the answer begins."""
    prompt_tokens: list[int]
    answer_tokens: list[int]
    """The reference answer with what ends it; not cut."""


def render(tokenizer: Any, messages: Conversation) -> Example:
    """Return a row as a trainer and a server would render it.

    Raises:
        JobError: If the tokenizer has no chat template, or it refuses the row.
    """
    if not tokenizer.chat_template:
        raise JobError(
            f"The tokenizer in {tokenizer.name_or_path} has no chat template, so nobody knows how to ask the model.\n"
            f"Train with a chat template (trainer option chat_template): it is saved with the adapter."
        )
    try:
        whole = tokenizer.apply_chat_template(messages, tokenize=False)
        prompt = tokenizer.apply_chat_template(messages[:-1], tokenize=False, add_generation_prompt=True)
    except Exception as error:  # jinja2's errors, and whatever a template raises itself
        raise JobError(
            f"The chat template in {tokenizer.name_or_path} refuses a row: {type(error).__name__}: {error}\n"
            f"Take the turns out that it does not know, such as a system prompt, or train with another template."
        ) from error
    tokens = tokenizer(whole, add_special_tokens=False)["input_ids"]
    asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    shared = next((n for n, pair in enumerate(zip(tokens, asked, strict=False)) if pair[0] != pair[1]), None)
    start = min(len(asked), len(tokens)) if shared is None else shared
    return Example(messages, prompt, tokens[:start], tokens[start:])


def end_tokens(tokenizer: Any, model: Any) -> list[int]:
    """Return the tokens that end an answer: those of the model and the tokenizer, and what the template writes."""
    told = model.generation_config.eos_token_id
    tokens = [*(told if isinstance(told, list) else [told]), tokenizer.eos_token_id]
    mark = "\N{WHITE SQUARE}"
    turns = [{"role": "user", "content": mark}, {"role": "assistant", "content": mark}]
    if tokenizer.chat_template:
        rendered = tokenizer.apply_chat_template(turns, tokenize=False)
        after = tokenizer(rendered.rpartition(mark)[2], add_special_tokens=False)["input_ids"]
        tokens += [token for token in after if token in tokenizer.all_special_ids or token in _special(tokenizer)][:1]
    return list(dict.fromkeys(token for token in tokens if token is not None))


def _special(tokenizer: Any) -> set[int]:
    return {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
