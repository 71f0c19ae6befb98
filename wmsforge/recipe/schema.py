"""A JSON Schema of recipes with the options of every installed component, for completion in an editor.

It knows shapes, names and ranges. What needs the whole recipe (ids, wiring, cycles, variables) is
left to `wmsforge check`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.errors import PydanticUserError

from wmsforge.errors import PluginError
from wmsforge.recipe.drafts import RESOURCE_KINDS, STEP_KINDS
from wmsforge.recipe.wiring import needs_source, takes
from wmsforge.registry import Offer, Registry
from wmsforge.steps.base import Component

Schema = dict[str, Any]

_VARIABLE = {"type": "string", "pattern": r"\$\{", "description": "A variable of the environment: ${NAME}."}
_FROM = {
    "description": "The step, or steps, whose output this one reads.",
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}],
}
_AMOUNT = {"minimum": 0, "description": "Of this much at most, over all runs of the recipe."}
_BUDGET = {
    "description": "What the recipe may spend over all its runs; it parks when the next call might exceed it.",
    "type": "object",
    "properties": {
        "usd": {"type": "number", **_AMOUNT},
        "requests": {"type": "integer", **_AMOUNT},
        "tokens": {"type": "integer", **_AMOUNT},
    },
    "minProperties": 1,
    "additionalProperties": False,
}
_ID = {"type": "string", "pattern": r"^[^\s./\\:]+$"}
"""Looser than the real rule: in an editor's regular expressions \\w is ASCII, and ids may be Korean."""


@dataclass(frozen=True)
class _Entry:
    """A component in the schema: where its definition is, and the texts of `use` that mean it."""

    offer: Offer
    component: type[Component]
    definition: str
    names: tuple[str, ...]


def recipe_schema(registry: Registry, warn: Callable[[str], None]) -> Schema:
    """Return the JSON Schema (draft 2020-12) of recipes.

    Args:
        warn: Told about each component that is left out because it cannot be imported.
    """
    definitions: dict[str, Any] = {"variable": _VARIABLE, "from": _FROM}
    clashing = {(offer.kind, offer.name) for pair in registry.clashes() for offer in pair}
    entries = []
    for offer in registry.offers:
        key = f"{offer.plugin}.{offer.kind}.{offer.name}"
        qualified = f"{offer.plugin}/{offer.name}"
        names = (qualified,) if (offer.kind, offer.name) in clashing else (offer.name, qualified)
        try:
            component = registry.load(offer)
            definitions |= _component(offer, component, key, names)
        except (PluginError, PydanticUserError) as error:
            warn(f"left out: {str(error).splitlines()[0]}")
        else:
            entries.append(_Entry(offer, component, key, names))
    for kind in registry.kinds:
        definitions[f"inline_{kind}"] = _choice([entry for entry in entries if entry.offer.kind == kind], inline=True)
    definitions["model"] = _choice([entry for entry in entries if entry.offer.kind in RESOURCE_KINDS], inline=False)
    definitions["step"] = _step([entry for entry in entries if entry.offer.kind in STEP_KINDS])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wmsforge recipe",
        "type": "object",
        "properties": {
            "name": {**_ID, "description": "Names the folder of its results."},
            "language": {"type": "string", "pattern": "^[a-z]{2,3}$", "default": "ko"},
            "seed": {"type": "integer", "minimum": 0, "default": 0},
            "max_rejected_share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
            "budget": _BUDGET,
            "models": _by_id("Chat models and embedders that steps name by id.", "model"),
            "steps": {**_by_id("What is done, each step by a component.", "step"), "minProperties": 1},
        },
        "required": ["name", "steps"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _by_id(description: str, definition: str) -> Schema:
    entry = {"$ref": f"#/$defs/{definition}"}
    return {"description": description, "type": "object", "propertyNames": _ID, "additionalProperties": entry}


def _component(offer: Offer, component: type[Component], key: str, names: Sequence[str]) -> dict[str, Schema]:
    """Return a component's definition, and those it refers to, by name.

    Raises:
        PydanticUserError: If its options have no JSON Schema.
    """
    options = component.Options.model_json_schema(ref_template=f"#/$defs/{key}.{{model}}")
    nested = options.pop("$defs", {})
    properties = {name: _or_variable(_tidy(option)) for name, option in options.get("properties", {}).items()}
    definition: Schema = {
        "description": offer.summary,
        "type": "object",
        "properties": {
            "use": {"enum": list(names)},
            "from": {"$ref": "#/$defs/from"},
            "kind": {"const": offer.kind},
            **properties,
        },
        "required": ["use", *options.get("required", [])],
        "additionalProperties": False,
    }
    return {key: definition, **{f"{key}.{name}": _tidy(schema) for name, schema in nested.items()}}


def _tidy(schema: Any) -> Any:
    """Return a schema without generated titles, with references to components and secrets spelt out."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {key: _tidy(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    kind = tidy.pop("x-component", None)
    if kind:
        tidy["anyOf"] = [{"type": "string"}, {"$ref": f"#/$defs/inline_{kind}"}]
        default = tidy.get("default")
        if isinstance(default, dict):
            tidy["default"] = default["name"] or {"use": default["use"], **default["options"]}
    if tidy.get("format") == "password":
        tidy["pattern"] = _VARIABLE["pattern"]  # a recipe may not hold the secret itself
    return tidy


def _or_variable(schema: Schema) -> Schema:
    """Return a schema that also takes `${NAME}`, unless it takes any text already."""
    if _takes_any_text(schema):
        return schema
    about: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    bare = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [bare, {"$ref": "#/$defs/variable"}]}


def _takes_any_text(schema: Schema) -> bool:
    limits = {"pattern", "enum", "const", "minLength", "maxLength"}
    if schema.get("type") == "string":
        return schema.get("format") == "password" or not limits & schema.keys()
    return any(_takes_any_text(branch) for branch in schema.get("anyOf", ()))


def _choice(entries: Sequence[_Entry], *, inline: bool) -> Schema | bool:
    """Return the schema of a mapping whose `use` says which component's options the rest are."""
    if not entries:
        return False  # nothing can stand there
    closed = {"from": False, "kind": False} if inline else {"from": False}
    return {
        "type": "object",
        "properties": {"use": {"anyOf": _names(entries)}, **closed},
        "required": ["use"],
        "allOf": _cases(entries),
    }


def _names(entries: Iterable[_Entry]) -> list[Schema]:
    """Return one branch a name, with its component's summary for the editor to show."""
    return [{"const": name, "description": entry.offer.summary} for entry in entries for name in entry.names]


def _cases(entries: Iterable[_Entry], *, wired: bool = False) -> list[Schema]:
    """Return "if `use` is this name, then these options"; a name of several kinds may be any of them."""
    by_name: dict[str, list[Schema]] = {}
    for entry in entries:
        case: Schema = {"$ref": f"#/$defs/{entry.definition}"}
        if wired and not takes(entry.offer.kind, entry.component):
            case["properties"] = {"from": False}
        elif wired and needs_source(entry.offer.kind, entry.component):
            case["required"] = ["from"]
        for name in entry.names:
            by_name.setdefault(name, []).append(case)
    return [
        {
            "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
            "then": cases[0] if len(cases) == 1 else {"anyOf": cases},
        }
        for name, cases in by_name.items()
    ]


def _step(entries: Sequence[_Entry]) -> Schema:
    filters = [entry for entry in entries if entry.offer.kind == "filter"]
    chain = {
        "description": "Filters, applied in this order.",
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [*_names(filters), {"$ref": "#/$defs/inline_filter"}]},
    }
    chained = {
        "properties": {"use": True, "from": {"$ref": "#/$defs/from"}, "kind": {"const": "filter"}},
        "required": ["from"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"use": {"anyOf": [*_names(entries), chain]}},
        "required": ["use"],
        "allOf": [
            {"if": {"properties": {"use": {"type": "array"}}, "required": ["use"]}, "then": chained},
            *_cases(entries, wired=True),
        ],
    }
