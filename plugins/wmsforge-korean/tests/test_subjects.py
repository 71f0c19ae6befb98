"""Questions that differ in one decisive word, and paraphrases that only look different."""

import pytest
from wmsforge_korean.subjects import subject

DISTINCT = """
입고 검수는 어떻게 하나요? | 출고 검수는 어떻게 하나요?
입고 확정을 취소할 수 있나요? | 출고 확정을 취소할 수 있나요?
오류 코드 E-101은 무슨 뜻인가요? | 오류 코드 E-102는 무슨 뜻인가요?
1번 도크는 어떤 차량이 쓰나요? | 3번 도크는 어떤 차량이 쓰나요?
하루 출고 500건이면 어떤 요금제가 맞나요? | 하루 출고 5,000건이면 어떤 요금제가 맞나요?
스타터 요금제는 얼마인가요? | 비즈니스 요금제는 얼마인가요?
입고 예정 정보는 누가 등록하나요? | 입고 예정 정보는 언제까지 등록하나요?
재고 실사는 누가 주관하나요? | 재고 실사는 몇 시에 시작하나요?
WMS 도입 비용은 얼마인가요? | WMS 도입 기간은 얼마인가요?
상품 라벨은 어디에 붙이나요? | 로케이션 라벨은 어디에 붙이나요?
"""
SAME = """
입고 처리는 어떻게 하나요? | 입고는 어떻게 처리하나요?
크로스도킹이란 무엇인가요? | 크로스도킹의 뜻을 알려 주세요.
하루 1,000건이면 충분한가요? | 하루 1000건으로 충분할까요?
E-404 오류가 뜨면 어떻게 조치하나요? | 오류 e-404가 나오면 어떻게 해야 합니까?
비밀번호를 5번 틀리면 어떻게 되나요? | 비밀번호를 다섯 번 잘못 넣으면 어떻게 됩니까?
새 화주를 받으려면 얼마나 걸리나요? | 새 화주 등록에는 몇 주가 걸리나요?
출고 확정 뒤에 주문을 취소할 수 있나요? | 출고를 확정한 다음에도 주문 취소가 되나요?
"""


def pairs(table):
    return [line.split(" | ") for line in table.strip().splitlines()]


@pytest.mark.parametrize(("one", "other"), pairs(DISTINCT))
def test_one_decisive_word_sets_questions_apart(one, other):
    assert subject(one).differs(subject(other))
    assert subject(other).differs(subject(one))


@pytest.mark.parametrize(("one", "other"), pairs(SAME))
def test_paraphrases_do_not_differ(one, other):
    assert not subject(one).differs(subject(other))
    assert not subject(other).differs(subject(one))
