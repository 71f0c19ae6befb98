"""Answers that say the opposite of their passage, and those that only quote a part of it."""

import pytest
from wmsforge_korean.polarity import contradicted

REVERSED = [
    ("상온에 15분 넘게 둘 수 있습니다.", "피킹하는 동안 상온에 15분 넘게 둘 수 없습니다."),
    ("수량이 맞으면 다시 검수합니다.", "수량이 맞지 않으면 다시 검수합니다."),
    ("재고가 있으면 발주합니다.", "재고가 없으면 발주합니다."),
    ("확정한 뒤에는 취소할 수 있습니다.", "확정한 뒤에는 취소할 수 없습니다."),
    ("파손 상품은 다시 판매하지 않습니다.", "파손 상품은 다시 판매합니다."),
]
SAME = [
    ("작업자가 바로 고칠 수는 없습니다.", "전산과 실물이 달라도 작업자가 바로 고칠 수는 없습니다."),
    ("확정한 뒤에는 취소할 수 없습니다.", "확정 전에는 취소할 수 있지만, 확정한 뒤에는 취소할 수 없습니다."),
    ("크로스도킹은 보관하지 않고 내보냅니다.", "크로스도킹은 상품을 보관하지 않고 바로 내보내는 방식입니다."),
    ("바코드가 없는 상품은 라벨을 붙입니다.", "바코드가 없는 상품은 자체 라벨을 붙인 뒤 검수합니다."),
    ("피크 기간에는 재배치를 하지 않습니다.", "재배치는 매주 월요일에 합니다. 피크 기간에는 재배치를 하지 않습니다."),
    ("입고는 7단계로 진행합니다.", "반품은 6단계로 진행합니다."),
]


@pytest.mark.parametrize(("sentence", "source"), REVERSED)
def test_a_sentence_that_says_the_opposite_is_found(sentence: str, source: str) -> None:
    assert contradicted(sentence, source)


@pytest.mark.parametrize(("sentence", "source"), SAME)
def test_a_sentence_that_says_the_same_is_not(sentence: str, source: str) -> None:
    assert contradicted(sentence, source) == ""
