"""`wmsforge plan`: what the run would cost, in a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wmsforge.cli.terminal import amount

if TYPE_CHECKING:
    from wmsforge.recipe.estimate import Estimate
    from wmsforge.recipe.model import Budget
    from wmsforge.recipe.quote import Quote
    from wmsforge.run.sampling import Sampled
    from wmsforge.steps.expect import Range
    from wmsforge.store.manifest import Paid

HEADERS = ("step", "model", "calls", "tokens", "cost")
UNKNOWN = "unknown"


def quote_rows(estimate: Estimate) -> Iterator[tuple[str, ...]]:
    """Yield the cells of the table: a row a step and model, and the total."""
    for quote in estimate.quotes:
        cost = "price unknown" if quote.usd is None else money(quote.usd)
        calls = span(quote.calls) + (f" ({quote.stored:,} stored)" if quote.stored else "")
        yield quote.step, quote.model, calls, span(quote.tokens), cost
    if len(estimate.quotes) > 1:
        cost = money(estimate.usd)
        if estimate.unpriced:
            cost = UNKNOWN if estimate.usd.high == 0 else f"{cost} + unknown"
        yield "total", "", span(estimate.calls), span(estimate.tokens), cost


def notes(estimate: Estimate, budget: Budget | None, paid: Paid, sampled: Sampled | None) -> Iterator[str]:
    """Yield what must be known beside the table."""
    for model in estimate.unpriced:
        id = model.partition(" (")[0]
        yield (
            f"The price of {model} is unknown. Say it: --set 'models.{id}.price={{input: 0.5, output: 2}}' "
            f"(USD per million tokens)."
        )
    if any(quote.stored for quote in estimate.quotes):
        yield "Stored calls cost nothing again where they are the same; the lower ends count them as the same."
    yield from map(_budget_words, budget_facts(estimate, budget, paid))
    if sampled is not None:
        yield (
            f"The sample of {amount(sampled.limit, 'questions')} made {amount(sampled.calls, 'calls')}"
            f"{f' and cost {sampled.usd:,.4f} USD' if sampled.usd is not None else ''}; the run does not pay for them "
            f"again. Intervals: 95 % by Student's t, not narrower than the sample's own spread."
        )
    elif estimate.quotes:
        yield "Intervals are what the components expect. Tighter ones, from real items: --sample 5 (its calls cost)."


def budget_facts(estimate: Estimate, budget: Budget | None, paid: Paid) -> list[dict[str, Any]]:
    """Return for each limit of the budget what is left of it and if it is enough: yes, perhaps, no or unknown."""
    if budget is None:
        return []
    spent = {
        "usd": paid.cost_usd + paid.uncertain_usd,
        "requests": paid.calls + paid.attempts,
        "tokens": paid.tokens + paid.uncertain_tokens,
    }
    needed = {"usd": estimate.usd, "requests": estimate.calls, "tokens": estimate.tokens}
    facts = []
    for unit, need in needed.items():
        limit = getattr(budget, unit)
        if limit is not None:
            left = max(0, limit - spent[unit])
            enough = "yes" if need.high <= left else "no" if need.low > left else "perhaps"
            if unit == "usd" and estimate.unpriced:
                enough = "unknown"
            facts.append({"unit": unit, "limit": limit, "spent": spent[unit], "left": left, "enough": enough})
    return facts


_ENOUGH = {
    "yes": "enough for this run",
    "perhaps": "perhaps not enough; the run parks when it is used up",
    "no": "not enough: the run will park",
    "unknown": "and the run does not start while a price is unknown",
}


def _budget_words(fact: Mapping[str, Any]) -> str:
    unit = fact["unit"]
    if unit == "usd":
        return f"budget: {fact['left']:,.4f} of {fact['limit']:,.2f} USD left, {_ENOUGH[fact['enough']]}"
    return f"budget: {fact['left']:,} of {fact['limit']:,} {unit} left, {_ENOUGH[fact['enough']]}"


def quotes_data(
    estimate: Estimate, budget: Budget | None, paid: Mapping[str, Paid], total: Paid, sampled: Sampled | None
) -> dict[str, Any]:
    """Return all of it as JSON values; an end that no one knows is null."""
    return {
        "quotes": [_quote(quote) for quote in estimate.quotes],
        "total": {
            "calls": _ends(estimate.calls),
            "tokens": _ends(estimate.tokens),
            "usd": _ends(estimate.usd),
            "price_unknown": estimate.unpriced,
        },
        "paid_before": {model: its.model_dump() for model, its in paid.items()},
        "budget": budget_facts(estimate, budget, total),
        "sample": None if sampled is None else {"limit": sampled.limit, "calls": sampled.calls, "usd": sampled.usd},
    }


def _quote(quote: Quote) -> dict[str, Any]:
    return {
        "step": quote.step,
        "model": quote.model,
        "calls": _ends(quote.calls),
        "prompt_tokens": _ends(quote.prompt_tokens),
        "answer_tokens": _ends(quote.answer_tokens),
        "usd": None if quote.usd is None else _ends(quote.usd),
        "stored_calls": quote.stored,
    }


def _ends(interval: Range) -> list[float | None]:
    return [interval.low, interval.high if interval.known else None]


def span(interval: Range) -> str:
    """Return `20`, `20-60`, `1.2 k-14.0 M`, or `unknown`."""
    if not interval.known:
        return UNKNOWN if interval.low == 0 else f"{_short(math.floor(interval.low))} or more"
    low, high = _short(math.floor(interval.low)), _short(math.ceil(interval.high))
    return low if low == high else f"{low}-{high}"


def _short(count: int) -> str:
    return amount(count, "").rstrip()


def money(interval: Range) -> str:
    """Return `0.0100-0.0800 USD`, `free`, or `unknown`."""
    if not interval.known:
        return UNKNOWN if interval.low == 0 else f"{interval.low:,.4f} USD or more"
    if interval.high == 0:
        return "free"
    low, high = f"{interval.low:,.4f}", f"{math.ceil(interval.high * 10_000) / 10_000:,.4f}"
    return f"{low} USD" if low == high else f"{low}-{high} USD"
