"""The Modelfile with which Ollama serves a GGUF file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Turns:
    """A chat template as Ollama's language can say it: the text around one question and its answer."""

    plain: tuple[str, str, str]
    """Before the question, between question and answer, after the answer."""
    system: tuple[str, str, str, str] | None
    """The same with a system prompt: before it, between it and the question, and so on; None if there can be none."""


def render_modelfile(
    file: str, turns: Turns, *, system: str, parameters: Mapping[str, float | int], stop: Sequence[str]
) -> str:
    """Return the text of the Modelfile.

    Args:
        file: The GGUF file's name; the Modelfile lies beside it.
        system: The system prompt to set; none if empty.
    """
    lines = [f"FROM ./{file}", f'TEMPLATE """{_template(turns)}"""']
    if system:
        lines.append(f"SYSTEM {_quoted(system)}")
    lines += [f"PARAMETER {name} {value}" for name, value in parameters.items()]
    lines += [f"PARAMETER stop {_quoted(text)}" for text in stop]
    return "\n".join(lines) + "\n"


def _template(turns: Turns) -> str:
    before, between, after = map(_literal, turns.plain)
    plain = f"{before}{{{{ .Prompt }}}}{between}"
    if turns.system is None:
        return f"{plain}{{{{ .Response }}}}{after}"
    start, middle, answer, _ = map(_literal, turns.system)
    ruled = f"{start}{{{{ .System }}}}{middle}{{{{ .Prompt }}}}{answer}"
    return f"{{{{ if .System }}}}{ruled}{{{{ else }}}}{plain}{{{{ end }}}}{{{{ .Response }}}}{after}"


def _literal(text: str) -> str:
    """Return text that Ollama's template language prints as it is."""
    return re.sub(r"\{\{|\}\}", lambda mark: f'{{{{ "{mark[0]}" }}}}', text)


def _quoted(text: str) -> str:
    return f'"""{text}"""' if "\n" in text or '"' in text else f'"{text}"'
