import pytest
from pydantic import ValidationError
from wmsforge_shout.filter import NoShouting

from wmsforge.records import Question
from wmsforge.testing import LocalContext


def filter_with(tmp_path, **options):
    return NoShouting(NoShouting.Options(**options), LocalContext(tmp_path))


def question(text):
    return Question(id="0" * 16, text=text)


def test_a_shouted_question_is_dropped_with_its_count(tmp_path):
    verdict = filter_with(tmp_path).check(question("재고가 왜 안 맞나요!!!"))
    assert (verdict.keep, verdict.reason) == (False, "shouting")
    assert verdict.detail == "3 exclamation marks, at most 1"


def test_a_calm_question_is_kept_as_it_is(tmp_path):
    verdict = filter_with(tmp_path).check(question("감사합니다! 반품은 어디로 보내나요?"))
    assert verdict.keep
    assert verdict.replacement is None


def test_with_calm_the_question_goes_on_changed_under_a_new_id(tmp_path):
    verdict = filter_with(tmp_path, calm=True).check(question("재고가 왜 안 맞나요!!!"))
    assert verdict.keep
    assert verdict.replacement.text == "재고가 왜 안 맞나요."
    assert verdict.replacement.id != "0" * 16


def test_a_negative_limit_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        NoShouting.Options(max_marks=-1)
