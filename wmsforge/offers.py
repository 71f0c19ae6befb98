"""What a plugin would offer, read from its source without importing it.

Needed for plugins that are disabled or broken, so that an error can name the plugin that has the
component a recipe asks for.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
from pathlib import Path

from wmsforge.registry import Offer, Registry


def offered_by_source(module: str, plugin: str, error: str = "") -> list[Offer]:
    """Return the components that `register("name", ...)` calls with literal names would offer.

    A target that is not a literal stays empty: it is not needed to name the plugin.

    A plugin that computes its names offers nothing here; that only makes a message less exact.
    """
    path = _source(module)
    if path is None:
        return []
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    offers = []
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("register_"):
            continue
        kind = function.name.removeprefix("register_").removesuffix("s")
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and len(call.args) >= 2 and kind in Registry.kinds:
                name, target = map(_text, call.args[:2])
                if name:
                    offers.append(Offer(kind, name, target, error, plugin, ""))
    return offers


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _source(module: str) -> Path | None:
    """Return the module's source file, walking packages by hand: find_spec would import parents."""
    search: list[str] | None = None
    spec = None
    dotted = ""
    for part in module.split("."):
        dotted = f"{dotted}.{part}" if dotted else part
        spec = _find(dotted, search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _find(dotted: str, search: list[str] | None) -> importlib.machinery.ModuleSpec | None:
    if search is None:
        return importlib.util.find_spec(dotted)  # a top-level name imports nothing
    return importlib.machinery.PathFinder.find_spec(dotted, search)
