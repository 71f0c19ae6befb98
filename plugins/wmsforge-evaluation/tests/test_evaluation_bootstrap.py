"""Intervals, and the groups of rows that they are drawn from."""

import random

import pytest
from wmsforge_evaluation.bootstrap import Bootstrap
from wmsforge_evaluation.groups import groups
from wmsforge_evaluation.rows import HeldOut, Source


def row(question, *sources):
    return HeldOut([{"role": "user", "content": question}], "답", sources)


def mean_of(values, groups=None):
    return Bootstrap(groups or [[n] for n in range(len(values))], samples=200, seed=0).mean(values)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    drawn = random.Random(0)
    found = [mean_of([drawn.gauss(5, 1) for _ in range(40)]) for _ in range(100)]
    assert 0.88 <= sum(one.low < 5 < one.high for one in found) / 100 <= 1
    wide, narrow = (mean_of([drawn.gauss(5, 1) for _ in range(rows)]) for rows in (20, 500))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_rows_of_one_section_are_no_separate_witnesses():
    values = [float(section % 2) for section in range(20) for _ in range(5)]
    together = [list(range(start, start + 5)) for start in range(0, 100, 5)]
    rows, sections = mean_of(values), mean_of(values, together)
    assert rows.value == sections.value == 0.5
    assert sections.high - sections.low > 1.8 * (rows.high - rows.low), "five times fewer witnesses"


def test_one_section_gives_a_figure_without_an_interval():
    alone = mean_of([1.0, 2.0], groups=[[0, 1]])
    assert alone.as_list() == [1.5, None, None]


def test_a_mean_leaves_out_rows_without_a_value():
    assert mean_of([1.0, None, 0.5]).value == pytest.approx(0.75)
    assert mean_of([None, None]) is None


def test_rows_that_share_a_section_or_a_question_hang_together():
    rows = [
        row("하나", Source("a.md", 0, 10, section="입고"), Source("a.md", 20, 30, section="출고")),
        row("둘", Source("a.md", 40, 50, section="출고")),
        row("셋", Source("a.md", 40, 50, section="반품")),
        row("셋", Source("faq.csv", 0, 50, row=1)),
        row("넷", Source("faq.csv", 0, 50, row=2)),
        row("다섯"),
        row("여섯"),
    ]
    assert groups(rows) == [[0, 1], [2, 3], [4], [5], [6]]
