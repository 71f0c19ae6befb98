"""A conversation as plain text, for base models that know no chat template."""

from __future__ import annotations

from collections.abc import Sequence

from wmsforge.steps.chat_model import Message

ANSWER_LABEL = {"ko": "답변:", "en": "Answer:"}
TURN_END = "\n\n"


def render(messages: Sequence[Message], language: str) -> str:
    """Return the turns as text that stops where the model's answer begins.

    A user turn, the answer's label and the answer make one block; blocks are parted by an empty
    line, so an empty line ends an answer.
    """
    label = answer_label(language)
    text = ""
    for message in messages:
        if message.role == "system":
            text += message.content + TURN_END
        elif message.role == "user":
            text += f"{message.content}\n{label}"
        else:
            text += f" {message.content}{TURN_END}"
    return text


def answer_label(language: str) -> str:
    return ANSWER_LABEL.get(language, ANSWER_LABEL["en"])
