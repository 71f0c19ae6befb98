"""A component's options in words, for the command line and the reference docs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from wmsforge.options import Options, Ref


@dataclass(frozen=True)
class OptionRow:
    """One option: its name, what it may be, its default as YAML, and what it is for."""

    name: str
    type: str
    default: str
    """`required` when there is none."""
    description: str


def option_rows(options: type[Options]) -> list[OptionRow]:
    """Return the options of a component in the order of their class."""
    schema = options.model_json_schema()
    rows = []
    for name, info in options.model_fields.items():
        described = schema["properties"][name]
        default = "required" if info.is_required() else _yaml(info.get_default(call_default_factory=True))
        rows.append(OptionRow(name, _words(described), default, " ".join((info.description or "").split())))
    return rows


def _yaml(value: Any) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) and plain else json.dumps(plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.name or {"use": value.use, **value.options}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return to_jsonable_python(value)


_TYPES = {"string": "text", "boolean": "true or false", "object": "mapping", "null": "null"}
_FORMATS = {"path": "path", "password": "secret", "uri": "address"}


def _words(schema: dict[str, Any]) -> str:
    """Return what a JSON Schema takes, such as `integer >= 1` or `'short' or 'long'`."""
    if "x-component" in schema:
        return str(schema["x-component"])
    if "anyOf" in schema:
        branches = [_words(branch) for branch in schema["anyOf"] if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(branches))
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if "const" in schema:
        return repr(schema["const"])
    kind = str(schema.get("type", "mapping"))
    if kind == "array":
        items = schema.get("items")
        return f"list of {_words(items)}" if isinstance(items, dict) and items else "list"
    if kind in ("integer", "number"):
        signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
        limits = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
        return " ".join([kind, " and ".join(limits)]).strip()
    return _FORMATS.get(schema.get("format", ""), _TYPES.get(kind, kind))
