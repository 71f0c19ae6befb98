"""What pydantic found wrong with options, in our words and at the place where it was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from wmsforge.errors import did_you_mean
from wmsforge.options import is_secret
from wmsforge.recipe.environment import has_variable
from wmsforge.yaml.yaml12 import Path

_MUST_BE = {
    "bool_type": "true or false",
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "finite_number": "a finite number",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "null",
}
_LIMITS = {
    "greater_than_equal": (">=", "ge"),
    "greater_than": (">", "gt"),
    "less_than_equal": ("<=", "le"),
    "less_than": ("<", "lt"),
    "multiple_of": ("a multiple of", "multiple_of"),
}


@dataclass(frozen=True)
class Fault:
    """One thing wrong with options: the path to show, the path to name, and the sentence."""

    path: Path
    where: Path
    message: str
    missing: str = ""
    """The option that is missing, when that is the fault."""


def faults(
    errors: Iterable[Mapping[str, Any]],
    written: Mapping[str, Any],
    fields: Mapping[str, FieldInfo],
    listing: str,
    hide: Callable[[str], str],
) -> list[Fault]:
    """Return the faults behind pydantic's errors.

    Args:
        errors: As `ValidationError.errors()` gives them.
        written: The options as written, variables not replaced: our own words show only these.
        fields: The fields of the options.
        listing: The command that lists them.
        hide: Takes what came from the environment out of words that are not ours.
    """
    found: list[Fault] = []
    phrases: dict[Path, list[str]] = {}
    for error in errors:
        loc: Path = tuple(error["loc"])
        kind, context = error["type"], error.get("ctx", {})
        path = written_path(loc, written)
        if kind == "extra_forbidden":
            close = did_you_mean(str(loc[-1]), list(fields)) if len(loc) == 1 else ""
            hint = close or f" List those there are: {listing}"
            found.append(Fault(path, path[:-1], f"option {loc[-1]!r} is unknown.{hint}"))
        elif kind == "missing":
            found.append(Fault(path, path, f"option {loc[-1]!r} is missing.", str(loc[-1])))
        elif kind in ("value_error", "assertion_error"):
            found.append(Fault(path, path, hide(str(context.get("error") or error["msg"]))))
        else:
            phrases.setdefault(path, []).append(_phrase(kind, context) or hide(_said(error["msg"])))
    for path, parts in phrases.items():  # several at one place: the branches of a union
        alternatives = list(dict.fromkeys(parts))
        first, *others = alternatives
        joined = " or ".join([first, *(other.removeprefix("must be ") for other in others)])
        secret = bool(path) and is_secret(fields.get(str(path[0])))
        found.append(Fault(path, path, joined + ("." if secret else _got(value_at(written, path), joined))))
    return found


def written_path(loc: Path, written: Any) -> Path:
    """Return the part of a pydantic location that stands in what was written; tags of unions do not."""
    path: list[str | int] = []
    for part in loc:
        in_list = isinstance(written, list) and isinstance(part, int) and part < len(written)
        if in_list or (isinstance(written, Mapping) and part in written):
            written = written[part]
            path.append(part)
    return tuple(path)


def value_at(value: Any, path: Path) -> Any:
    """Return what stands at a path that exists."""
    for part in path:
        value = value[part]
    return value


def _said(message: str) -> str:
    """Return a message of pydantic's, or of a plugin's own type, begun as ours begin."""
    return re.sub(r"^Input should\b", "must", message)


def _phrase(kind: str, context: Mapping[str, Any]) -> str:
    """Return what a value must be, in our words; empty when we have none."""
    if kind in _MUST_BE:
        return f"must be {_MUST_BE[kind]}"
    if kind in _LIMITS:
        sign, key = _LIMITS[kind]
        limit = context[key]
        return f"must be {sign} {f'{limit:g}' if isinstance(limit, float) else limit}"
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    if kind in ("string_too_short", "too_short"):
        return _length("at least", context["min_length"], "characters" if kind.startswith("string") else "items")
    if kind in ("string_too_long", "too_long"):
        return _length("at most", context["max_length"], "characters" if kind.startswith("string") else "items")
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}"
    return ""


def _length(bound: str, count: int, unit: str) -> str:
    if bound == "at least" and count == 1:
        return "must not be empty"
    return f"must have {bound} {count} {unit if count != 1 else unit[:-1]}"


def _got(value: Any, phrase: str) -> str:
    """Return the end of a sentence about a value: what was found, and what may have been meant."""
    if "must not be empty" in phrase:
        return "."
    if "must have" in phrase and isinstance(value, (str, list)) and not has_variable(value):
        return f", got {len(value)}."
    end = f", got {shown(value)}."
    if isinstance(value, str) and not has_variable(value):
        return end + did_you_mean(value, re.findall(r"'([^']*)'", phrase))
    if phrase.endswith("text") and isinstance(value, (bool, int, float)):
        return end + " Put it in quotes."
    return end


def shown(value: Any) -> str:
    """Return a value as written, short; what came from the environment is named, not shown."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if has_variable(value):
        return f"the value of {value}"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, Sequence):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    return str(value)
