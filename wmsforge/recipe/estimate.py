"""What a run will cost, as intervals: from what components expect, and from a sample where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from wmsforge.errors import StepError, WmsforgeError
from wmsforge.prices import MILLION, Price
from wmsforge.recipe.fingerprint import PlanningContext
from wmsforge.recipe.model import ComponentUse, Recipe
from wmsforge.recipe.models_called import CalledModel, models_called
from wmsforge.recipe.plan import Plan, PlannedStep
from wmsforge.recipe.quote import Quote
from wmsforge.recipe.sample import Sample
from wmsforge.steps.expect import Asking, Expected, Range

RECORDS = ("Document", "Question", "Answer")
TOKENS_A_CHAR = Range(0.3, 2.0)
"""Tokens of a character of Korean and of most languages, whatever the tokenizer."""
TOKENS_AN_ENGLISH_CHAR = Range(0.15, 0.6)
TEMPLATE_TOKENS = Range(0, 100)
"""What a provider's chat template adds to a prompt."""
NOTHING = Range(0, 0)


@dataclass(frozen=True)
class Estimate:
    """The quotes of all steps that would run and call models."""

    quotes: tuple[Quote, ...]
    out: Mapping[str, Range] = field(default_factory=dict)
    """Step -> records that come out."""

    @property
    def calls(self) -> Range:
        return _sum(quote.calls for quote in self.quotes)

    @property
    def tokens(self) -> Range:
        return _sum(quote.tokens for quote in self.quotes)

    @property
    def usd(self) -> Range:
        """Of the models with a known price."""
        return _sum(quote.usd for quote in self.quotes if quote.usd is not None)

    @property
    def unpriced(self) -> list[str]:
        """Return the models whose price is unknown."""
        return list(dict.fromkeys(quote.model for quote in self.quotes if quote.usd is None))


def estimate(
    plan: Plan, stored: Mapping[tuple[str, str], int], samples: Mapping[str, Sample] | None = None
) -> Estimate:
    """Return what a run of this plan will ask and pay.

    Args:
        stored: Calls in the ledger by step and model.
        samples: What a preview of real items took, by step.
    """
    out: dict[str, Range] = {}
    quotes: list[Quote] = []
    for id, planned in plan.steps.items():
        if planned.reused:
            assert planned.manifest is not None  # a reused step has one
            out[id] = Range.exactly(planned.manifest.counts.out)
            continue
        items = _sum(out[source] for source in planned.step.sources)
        sample = (samples or {}).get(id)
        for use in planned.step.uses:
            expected = _expected(plan.recipe, planned, use, items)
            taken = list(_quote(plan, planned, use, items, expected, sample))
            quotes += [quote.less(stored.get((id, quote.model), 0)) for quote in taken]
            items = _out(plan, planned, expected, items)
        if sample is not None and planned.step.kind != "question_generator":
            items = _sum(out[source] for source in planned.step.sources) * sample.kept
        out[id] = items
    return Estimate(tuple(quotes), out)


def _quote(
    plan: Plan, planned: PlannedStep, use: ComponentUse, items: Range, expected: Expected | None, sample: Sample | None
) -> Iterator[Quote]:
    id = planned.step.id
    asks = expected.asks if expected else ()
    for model in {model.name: model for model in models_called(plan.recipe, planned.step, use)}.values():
        asking = next((asking for asking in asks if asking.model == model.ref), None)
        if sample is not None and planned.step.kind != "question_generator":
            yield sample.quote(id, model.name, model.price, items)
        elif asking is None:
            yield Quote(id, model.name, Range(), Range(), Range(), _usd(model.price, Range(), Range()))
        else:
            yield _asked(plan, id, model, asking, expected, sample)


def _asked(
    plan: Plan, step: str, model: CalledModel, asking: Asking, expected: Expected | None, sample: Sample | None
) -> Quote:
    calls, answer = asking.calls, asking.answer_tokens
    a_char = TOKENS_AN_ENGLISH_CHAR if plan.recipe.language == "en" else TOKENS_A_CHAR
    prompt = asking.prompt_chars * a_char + TEMPLATE_TOKENS
    if sample is not None and expected is not None and model.name in sample.models:
        calls = (expected.out * sample.calls_a_record(model.name)).within(calls)
        prompt = asking.prompt_chars * sample.tokens_a_char(model.name)
        answer = sample.answer_tokens(model.name).within(answer)
    if plan.limit is not None:
        calls = Range(min(1.0, calls.low), calls.high)
    prompt, answer = calls * prompt, calls * answer
    return Quote(step, model.name, calls, prompt, answer, _usd(model.price, prompt, answer))


def _usd(price: Price | None, prompt: Range, answer: Range) -> Range | None:
    if price is None:
        return None
    least = min(price.input, price.input if price.cached is None else price.cached)
    cost = prompt * Range(least, price.input) + answer * price.output
    return cost * (1 / MILLION)


def _out(plan: Plan, planned: PlannedStep, expected: Expected | None, items: Range) -> Range:
    if planned.step.kind == "question_generator":
        out = expected.out if expected else Range()
        return out if plan.limit is None else Range(min(out.low, plan.limit), min(out.high, plan.limit))
    if planned.step.kind in ("answer_generator", "filter"):
        return expected.out if expected else Range(0, items.high)
    return Range() if planned.step.produces in RECORDS else NOTHING


def _expected(recipe: Recipe, planned: PlannedStep, use: ComponentUse, items: Range) -> Expected | None:
    """Ask a component.

    Raises:
        StepError: If it fails to say; a quote without it would be a wrong one.
    """
    try:
        return use.component(use.options, PlanningContext(recipe, planned.step.id)).expect(items)
    except WmsforgeError:
        raise
    except Exception as error:  # a plugin's method may raise anything
        raise StepError(
            f"{recipe.path}:{use.line}: step {planned.step.id!r}: {use.offer.name!r} failed to say what it expects to "
            f"ask: {type(error).__name__}: {error}.\n"
            f"This is a fault of the component; report it to its plugin, {use.offer.plugin}."
        ) from error


def _sum(ranges: Iterable[Range]) -> Range:
    return sum(ranges, NOTHING)
