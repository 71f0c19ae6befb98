"""The key `budget` of a recipe: what all its runs together may spend."""

from __future__ import annotations

import math
from typing import Any

from wmsforge.errors import did_you_mean
from wmsforge.recipe.model import Budget
from wmsforge.recipe.source import Source
from wmsforge.recipe.wording import shown

UNITS = ("usd", "requests", "tokens")


def read_budget(source: Source) -> Budget | None:
    """Return the recipe's budget, None if it has none; report what is wrong with it."""
    written = source.value.get("budget")
    if written is None:
        return None
    path = ("budget",)
    if not isinstance(written, dict) or not written:
        amount = written if isinstance(written, (int, float)) and not isinstance(written, bool) else 1.5
        hint = f"Write: budget: {{usd: {amount}}}"
        source.problem(path, f"must be a mapping of {', '.join(UNITS)}, got {shown(written)}. {hint}")
        return None
    limits: dict[str, Any] = {}
    for unit, limit in written.items():
        if unit not in UNITS:
            hint = did_you_mean(str(unit), UNITS) or f" Known are: {', '.join(UNITS)}."
            source.problem((*path, unit), f"the unit {unit!r} is unknown.{hint}")
        elif unit == "usd" and _is_number(limit):
            limits[unit] = float(limit)
        elif unit != "usd" and _is_number(limit) and limit == int(limit):
            limits[unit] = int(limit)
        else:
            kind = "a number" if unit == "usd" else "an integer"
            source.problem((*path, unit), f"must be {kind} >= 0, got {shown(limit)}.")
    return Budget(**limits)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0
