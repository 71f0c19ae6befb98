"""Takes a chat template apart into the text around question and answer, for servers that know no Jinja."""

from __future__ import annotations

from typing import Any

from jinja2 import TemplateError

_SYSTEM, _QUESTION, _ANSWER = "⟦system⟧", "⟦question⟧", "⟦answer⟧"


def turns(tokenizer: Any) -> dict[str, Any]:
    """Return `plain` and `system` of `wmsforge_export.modelfile.Turns`, and whether later turns look like the first.

    The first token, which a server adds by itself, is left out.
    """
    asked = [{"role": "user", "content": _QUESTION}]
    answered = [*asked, {"role": "assistant", "content": _ANSWER}]
    plain = _cut(_rendered(tokenizer, asked), _rendered(tokenizer, answered))
    try:
        ruled = [{"role": "system", "content": _SYSTEM}]
        whole = _rendered(tokenizer, [*ruled, *asked], prompt=True)
        start, _, rest = whole.partition(_SYSTEM)
        middle, found, answer = rest.partition(_QUESTION)
        system = [start, middle, answer, plain[2]] if found else None
    except TemplateError:  # how a template says that it knows no system turn
        system = None
    twice = _rendered(tokenizer, [*answered, *asked], prompt=True)
    repeated = plain[0] + _QUESTION + plain[1] + _ANSWER + plain[2] + plain[0] + _QUESTION + plain[1]
    return {"plain": plain, "system": system, "repeats": twice == repeated}


def _rendered(tokenizer: Any, messages: list[dict[str, str]], prompt: bool = False) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
    return text.removeprefix(tokenizer.bos_token or "")


def _cut(asked: str, answered: str) -> list[str]:
    before, _, _ = asked.partition(_QUESTION)
    between, _, after = answered.partition(_QUESTION)[2].partition(_ANSWER)
    return [before, between, after]
