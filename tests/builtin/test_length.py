"""The length filter at its bounds, for questions and answers."""

import pytest
from pydantic import ValidationError

from wmsforge.builtin.length import LengthFilter
from wmsforge.records import Answer, Question
from wmsforge.testing import LocalContext

QUESTION = Question(id="q", text="WMS가 무엇인가요?")


def check(record, tmp_path, **options):
    return LengthFilter(LengthFilter.Options(**options), LocalContext(folder=tmp_path)).check(record)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SKU?", "too_short"),
        ("SKU란?", ""),
        ("   SKU?   \n", "too_short"),
        ("가" * 300, ""),
        ("가" * 301, "too_long"),
    ],
)
def test_question_bounds_are_inclusive_and_blanks_outside_do_not_count(text, reason, tmp_path):
    assert check(Question(id="q", text=text), tmp_path).reason == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [("16개입니다.", "too_short"), ("월 39만 원입니다.", ""), ("가" * 2000, ""), ("가" * 2001, "too_long")],
)
def test_answer_has_bounds_of_its_own(text, reason, tmp_path):
    assert check(Answer(id="a", question=QUESTION, text=text), tmp_path).reason == reason


def test_detail_names_length_and_bound(tmp_path):
    answer = Answer(id="a", question=QUESTION, text="네.")
    assert check(answer, tmp_path).detail == "answer of 2 characters, at least 10"
    assert check(answer, tmp_path, answer_min_chars=0, answer_max_chars=1).detail == (
        "answer of 2 characters, at most 1"
    )


def test_bounds_that_keep_nothing_are_refused():
    with pytest.raises(ValidationError, match="question_min_chars is 50 and question_max_chars 40"):
        LengthFilter.Options(question_min_chars=50, question_max_chars=40)
