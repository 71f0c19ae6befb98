"""How far the figures of a few items are trusted: the interval holds the truth and is as wide as the sample."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from wmsforge.prices import Price
from wmsforge.recipe.sample import Request, Sample, mean_range, share_range
from wmsforge.steps.expect import Range


def test_the_interval_of_a_mean_holds_the_true_mean_nearly_always() -> None:
    chance = random.Random(5)
    held = 0
    for _ in range(400):
        values = [chance.lognormvariate(5, 0.6) for _ in range(5)]
        true_mean = 148.4131591 * 1.1972173  # e^5 * e^(0.6^2 / 2)
        interval = mean_range(values)
        held += interval.low <= true_mean <= interval.high
    assert held >= 0.9 * 400, "even where figures are as skewed as these"


@pytest.mark.parametrize("values", [[3.0, 9.0], [1.0, 1.0, 8.0], [2.0] * 29 + [50.0][:0]])
def test_the_interval_is_never_narrower_than_a_small_sample(values: list[float]) -> None:
    interval = mean_range(values)
    assert interval.low <= min(values)
    assert interval.high >= max(values)
    assert interval.low <= fmean(values) <= interval.high


def test_what_is_always_the_same_has_no_width_and_one_value_has_some() -> None:
    assert mean_range([7.0, 7.0, 7.0]) == Range.exactly(7.0)
    assert mean_range([8.0]) == Range(4.0, 16.0)
    assert not mean_range([]).known


@pytest.mark.parametrize(
    ("good", "of", "low", "high"), [(0, 0, 0, 1), (5, 5, 0.56, 1), (0, 5, 0, 0.44), (50, 100, 0.40, 0.60)]
)
def test_a_share_has_wilsons_interval(good: int, of: int, low: float, high: float) -> None:
    found = share_range(good, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))


def request(model: str, prompt: int, answer: int, thoughts: int = 0) -> Request:
    usage = {"prompt_tokens": prompt, "cached_tokens": 0, "completion_tokens": answer, "thought_tokens": thoughts}
    return Request(model, 2 * prompt, usage)


def test_a_quote_takes_each_model_by_itself_and_counts_thoughts() -> None:
    items = ((request("a", 100, 10, 5), request("b", 7, 1)), (request("a", 100, 10, 5), request("a", 100, 10, 5)))
    quote = Sample(items, 2).quote("answers", "a", Price(input=1, output=2), Range.exactly(10))
    assert quote.calls.low <= 10 <= 20 <= quote.calls.high
    assert quote.answer_tokens.low <= 150 <= 300 <= quote.answer_tokens.high
    assert quote.usd is not None
    assert quote.usd.low <= 10 * 130e-6 <= 10 * 260e-6 <= quote.usd.high


def test_a_range_that_no_one_knows_stays_so_and_nothing_of_it_is_nothing() -> None:
    assert not (Range() + Range.exactly(3)).known
    assert Range() * 0 == Range(0, 0)
    assert Range(5, 20).within(Range(10, 15)) == Range(10, 15)
