"""What calls cost, in words: known, unknown, and what no one can know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from wmsforge.cli.terminal import amount
from wmsforge.store.workspace import Workspace

if TYPE_CHECKING:
    from wmsforge.store.manifest import CallCounts, Paid


def usd(value: float) -> str:
    """Return `0.8421 USD`; less than a hundredth of a cent is not told as nothing."""
    return f"{value:,.4f} USD" if value == 0 or value >= 0.00005 else "< 0.0001 USD"


def paid_by_step(workspace: Workspace, recipe: str) -> dict[tuple[str, str], Paid]:
    """Return what a recipe has paid over all its runs, by step and model; each request once."""
    from wmsforge.store.ledger import Ledger

    if not workspace.ledger.exists():
        return {}
    ledger = Ledger(workspace.ledger)
    try:
        return ledger.paid(recipe)
    finally:
        ledger.close()


def total(paid: Iterable[Paid]) -> Paid:
    """Return the sum."""
    from wmsforge.store.manifest import Paid

    return sum(paid, Paid())


def by_model(paid: Mapping[tuple[str, str], Paid]) -> dict[str, Paid]:
    """Return the sums by model."""
    models = dict.fromkeys(model for _, model in paid)
    return {model: total(its for (_, name), its in paid.items() if name == model) for model in models}


def cost(paid: Mapping[str, Paid]) -> str:
    """Return `cost 0.8421 USD (customer 0.8421, expert unknown)`, empty when all of it is free."""
    parts = {model: (its.cost_usd, its.unpriced > 0) for model, its in paid.items()}
    words = _cost(parts)
    uncertain = sum(its.uncertain_usd for its in paid.values())
    if uncertain:
        words = words or f"cost {usd(0)}"
        words += f", and up to {usd(uncertain)} for requests whose end no one saw"
    return words


def cost_of_run(calls: Iterable[Mapping[str, CallCounts]]) -> str:
    """Return the same for the calls of one run, given by step and model."""
    parts: dict[str, tuple[float, bool]] = {}
    for models in calls:
        for model, count in models.items():
            known, unknown = parts.get(model, (0.0, False))
            used = count.calls > 0 or count.prompt_tokens > 0
            parts[model] = (known + (count.cost_usd or 0.0), unknown or (used and count.cost_usd is None))
    return _cost({model: part for model, part in parts.items() if part != (0.0, False)})


def requests(paid: Paid) -> str:
    """Return `1,204 calls, 812.3 k tokens, 6 requests without a usable answer`."""
    parts = [amount(paid.calls, "calls"), amount(paid.tokens, "tokens")]
    if paid.attempts:
        parts.append(f"{amount(paid.attempts, 'requests')} without a usable answer")
    return ", ".join(parts)


def _cost(parts: Mapping[str, tuple[float, bool]]) -> str:
    known = sum(value for value, _ in parts.values())
    unknown = [model for model, (_, is_unknown) in parts.items() if is_unknown]
    if not known and not unknown:
        return ""
    if not known:
        return "cost unknown"
    told = f"cost {usd(known)}"
    if len(parts) == 1 and not unknown:
        return told
    each = [_one(model.partition(" (")[0], *part) for model, part in parts.items()]
    return f"{told} ({', '.join(each)})"


def _one(model: str, known: float, is_unknown: bool) -> str:
    if not is_unknown:
        return f"{model} {known:,.4f}"
    return f"{model} {known:,.4f} and unknown" if known else f"{model} unknown"
