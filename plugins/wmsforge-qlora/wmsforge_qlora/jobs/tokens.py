"""Conversations as tokens, with the label of each: the assistant's words are learned, the rest is only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from wmsforge.env.worker import JobError
from wmsforge_qlora.jobs.rows import Messages
from wmsforge_qlora.jobs.template import is_marked

IGNORED = -100
"""The label of a token that is not learned."""


@dataclass(frozen=True)
class Tokens:
    """A conversation as a model sees it. Both lists have one entry a token."""

    input_ids: list[int]
    labels: list[int]
    """The token itself, or IGNORED."""

    @property
    def learned(self) -> int:
        return sum(label != IGNORED for label in self.labels)

    def cut(self, length: int) -> Tokens:
        return Tokens(self.input_ids[:length], self.labels[:length])


class Tokenization:
    """Renders conversations with the tokenizer's chat template.

    A template with generation marks says itself which text is the assistant's. For any other, it is what a whole
    conversation has beyond its rendering up to the assistant's turn. Either way the last answer ends with a learned
    end token: one is added where the template has none, as SOLAR's own.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._marked = is_marked(tokenizer.chat_template)
        special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._ends = special | {tokenizer.eos_token_id}
        self.ends_added = 0
        """Conversations that an end token was added to."""

    def tokens(self, messages: Messages) -> Tokens:
        """Return the tokens of a conversation.

        Raises:
            TemplateError: If the template refuses it, such as one with a system turn.
            JobError: If the template cannot be trained with.
        """
        ids, mask = self._by_marks(messages) if self._marked else self._by_prefixes(messages)
        labels = [token if learned else IGNORED for token, learned in zip(ids, mask, strict=True)]
        if messages[-1]["role"] == "assistant" and any(mask) and not self._is_ended(ids, mask):
            self.ends_added += 1
            ids, labels = [*ids, self._tokenizer.eos_token_id], [*labels, self._tokenizer.eos_token_id]
        return Tokens(ids, labels)

    def _is_ended(self, ids: list[int], mask: list[int]) -> bool:
        """Tell whether the last learned token that is more than white space ends a turn."""
        for token, learned in zip(reversed(ids), reversed(mask), strict=True):
            if learned and (token in self._ends or self._tokenizer.decode([token]).strip()):
                return token in self._ends
        return False

    def _by_marks(self, messages: Messages) -> tuple[list[int], list[int]]:
        encoded = self._tokenizer.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        return list(encoded["input_ids"]), list(encoded["assistant_masks"])

    def _by_prefixes(self, messages: Messages) -> tuple[list[int], list[int]]:
        whole = self._render(messages)
        spans: list[tuple[int, int]] = []
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._render(messages[:place], add_generation_prompt=True)
            after = self._render(messages[: place + 1])
            if not whole.startswith(before) or not whole.startswith(after):
                raise JobError(
                    "The model's chat template writes a turn differently once others follow, so its answers cannot be "
                    "told from the rest.\n"
                    "Train with another: chat_template: solar, gemma, chatml or a Jinja file with generation marks."
                )
            spans.append((len(before), len(after)))
        encoded = self._tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        mask = [
            int(end > start and any(first <= start < last for first, last in spans))
            for start, end in encoded["offset_mapping"]
        ]
        return list(encoded["input_ids"]), mask

    def _render(self, messages: Messages, *, add_generation_prompt: bool = False) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        return text


__all__ = ["IGNORED", "TemplateError", "Tokenization", "Tokens"]
