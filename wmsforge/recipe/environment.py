"""`${NAME}` and `${NAME:-default}` in the values of a recipe, and `$${` for a plain `${`.

They are replaced only while options are checked. What is kept of a recipe holds them as written,
and no message shows what they stood for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wmsforge.masking import hide
from wmsforge.yaml.yaml12 import Path

_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Replaced:
    """A value with its variables replaced, and what is needed to speak about it safely."""

    value: Any = None
    whole: dict[Path, str] = field(default_factory=dict)
    """Places that are one variable and nothing else, with its text."""
    problems: dict[Path, str] = field(default_factory=dict)
    """Places whose variable is missing or misspelt, and what to do."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Each text that came from the environment and the variable it came from."""

    def hide(self, message: str) -> str:
        """Return a message with every text from the environment named by its variable."""
        return hide(message, {text: "${" + name + "}" for text, name in self.secrets.items()})


def replace(value: Any, environ: Mapping[str, str]) -> Replaced:
    """Replace the variables in a component's options.

    An inline component (a mapping with `use`) stays as written: it is replaced when its own
    options are checked, so that a reference never holds a secret.
    """
    replaced = Replaced()
    replaced.value = {key: _replace(item, (key,), environ, replaced) for key, item in value.items()}
    return replaced


def has_variable(value: Any) -> bool:
    """Tell whether a text as written holds a variable."""
    return isinstance(value, str) and any(match[0] != "$${" for match in _VARIABLE.finditer(value))


def variables(value: Any) -> dict[str, bool]:
    """Return the variables in a value as written, and whether each has to be set: somewhere it has no default."""
    if isinstance(value, (dict, list)):
        found: dict[str, bool] = {}
        for item in value.values() if isinstance(value, dict) else value:
            for name, needed in variables(item).items():
                found[name] = needed or found.get(name, False)
        return found
    if not isinstance(value, str):
        return {}
    parts = [match[1].partition(":-") for match in _VARIABLE.finditer(value) if match[0] != "$${"]
    bare = {name for name, default, _ in parts if not default}
    return {name: name in bare for name, _, _ in parts}


def mentions_variable(value: Any) -> bool:
    """Tell whether a variable stands anywhere in a value as written."""
    if isinstance(value, (dict, list)):
        return any(map(mentions_variable, value.values() if isinstance(value, dict) else value))
    return has_variable(value)


def _replace(value: Any, path: Path, environ: Mapping[str, str], replaced: Replaced) -> Any:
    if isinstance(value, dict) and "use" not in value:
        return {key: _replace(item, (*path, key), environ, replaced) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, (*path, index), environ, replaced) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def text(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, has_default, default = match[1].partition(":-")
        if not match[2] or not _NAME.fullmatch(name):
            replaced.problems[path] = f"{match[0]!r} is no variable. Write ${{NAME}}, or $${{ for a plain ${{."
            return match[0]
        found = environ.get(name, "")
        if not found and has_default:
            return default
        if name not in environ:
            replaced.problems[path] = f"the environment variable {name} is not set. Set it: export {name}=..."
        elif found:
            replaced.secrets[found] = name
            if not found.isprintable() and any("\ud800" <= character <= "\udfff" for character in found):
                replaced.problems[path] = f"the environment variable {name} does not hold UTF-8 text."
        return found

    new = _VARIABLE.sub(text, value)
    if (match := _VARIABLE.fullmatch(value)) and match[0] != "$${":
        replaced.whole[path] = new
    return new
