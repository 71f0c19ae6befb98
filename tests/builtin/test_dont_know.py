"""The don't-know filter: statements of ignorance, and content that uses the same words."""

import pytest

from wmsforge.builtin.dont_know import DontKnowFilter
from wmsforge.records import Answer, Question
from wmsforge.testing import LocalContext

IGNORANT = [
    "문서에서 답을 찾을 수 없습니다.",
    "문서에서 답을 찾을 수 없음",
    "모르겠습니다.",
    "죄송하지만 잘 모르겠습니다.",
    "확인할 수 없습니다.",
    "알 수 없습니다.",
    "답변할 수 없습니다",
    "제공된 문서에는 드론 실사에 대한 내용이 없습니다.",
    "제공된 문서만으로는 정확한 금액을 알 수 없습니다.",
    "문서에 연차 신청 방법이 나와 있지 않습니다.",
    "해당 정보는 문서에 포함되어 있지 않습니다.",
    "죄송합니다. 해당 질문에 대한 정보를 찾을 수 없습니다.",
    "관련 정보가 없습니다.",
    "드론 실사에 대한 정보는 제공되지 않습니다.",
    "이 질문에 대해서는 답변드리기 어렵습니다.",
    "정확한 답변을 드리기 어렵습니다.",
    "주어진 자료에서는 탄소 배출량 계산 기능이 언급되어 있지 않습니다.",
    "위 문서에는 직원 연차에 관한 규정이 명시되어 있지 않습니다. 다만 인사팀에 문의할 수 있습니다.",
    "저는 그 내용을 알지 못합니다.",
    "현재 제공된 정보로는 판단할 수 없습니다.",
    "해당 내용을 찾지 못했습니다.",
    "문서에는 그 절차를 다루지 않습니다.",
    "아쉽게도 관련 내용을 찾을 수 없어요.",
    "매뉴얼에는 해당 오류 코드에 대한 설명이 없습니다.",
    "제가 가진 정보로는 답할 수 없습니다.",
    "정보가 부족하여 답변할 수 없습니다.",
    "구체적인 내용은 문서에 없습니다.",
    "문서에서 답을 찾을 수 없습니다. WMS는 창고 관리 시스템입니다. 재고를 기록합니다. 작업을 지시합니다.",
    "I don't know.",
    "I cannot find the answer in the documents.",
    "The documents do not hold the answer.",
    "There is no information about drones in the text.",
    "As an AI language model, I have no access to your warehouse.",
]

ANSWERING = [
    "'재고를 확인할 수 없습니다' 오류가 뜨면 로케이션 바코드를 다시 스캔합니다.",
    "재고를 확인할 수 없습니다 오류가 뜨면 로케이션 바코드를 다시 스캔합니다.",
    '"해당 정보를 찾을 수 없습니다."라는 메시지가 나오면 상품 마스터를 확인하세요.',
    "E-301: 재고를 찾을 수 없습니다. 로케이션을 다시 스캔합니다.",
    "앞 단계를 PDA에서 완료하지 않으면 다음 단계의 화면이 열리지 않습니다.",
    "관리자가 아닌 작업자는 재고 금액을 확인할 수 없습니다.",
    "바코드 정보가 없으면 검수를 진행할 수 없습니다.",
    "ASN에 없는 품목이 도착하면 오류 코드 E-101이 표시되고 검수를 진행할 수 없습니다.",
    "출고 확정 후에는 주문을 취소할 수 없습니다.",
    "로케이션에 재고가 없습니다.",
    "예외는 없습니다.",
    "별도의 설치 비용은 없습니다.",
    "아이폰은 지원하지 않습니다.",
    "재고 위치를 모르면 상품 조회 화면에서 검색합니다.",
    "E-102는 상품 마스터에 바코드 정보가 없다는 뜻입니다.",
    "신입 작업자가 사용법을 모르겠다고 하면 조장이 시연합니다.",
    "유통기한을 확인할 수 없는 상품은 보류합니다.",
    "문서에 서명이 없으면 입고를 확정할 수 없습니다.",
    "매뉴얼에 없는 오류는 고객센터로 문의합니다.",
    "냉장 식품은 반품되어도 다시 팔 수 없습니다.",
    "화주는 다른 화주의 정보를 볼 수 없습니다.",
    "재고 정보는 ERP로 전송되지 않습니다.",
    "오류 기록은 30일이 지나면 확인할 수 없습니다.",
    "계정 정보에 전화번호가 없으면 비밀번호를 찾을 수 없습니다.",
    "입고 예정 정보에 로트 번호가 없으면 검수할 수 없습니다.",
    "재고 차이에 대한 기록이 없으면 조정할 수 없습니다.",
    "스타터 요금제는 월 39만 원입니다. 설치비는 문서에 나와 있지 않습니다.",
    "ERP와 연동하면 수기 입력이 필요 없습니다.",
]


@pytest.fixture
def check(tmp_path):
    def check(text, **options):
        record = Answer(id="a", question=Question(id="q", text="드론으로 재고를 셀 수 있나요?"), text=text)
        return DontKnowFilter(DontKnowFilter.Options(**options), LocalContext(folder=tmp_path)).check(record)

    return check


@pytest.mark.parametrize("text", IGNORANT)
def test_answers_that_state_ignorance_are_dropped(text, check):
    assert check(text).reason == "dont_know"


@pytest.mark.parametrize("text", ANSWERING)
def test_answers_that_use_the_words_as_content_are_kept(text, check):
    verdict = check(text)
    assert (verdict.keep, verdict.detail) == (True, "")


def test_detail_shows_the_sentence_and_the_share(check):
    assert check("모르겠습니다. 조장에게 문의하세요.").detail == "'모르겠습니다.'; 50% of 2 sentences say so"


def test_thresholds_and_own_phrases_decide(check):
    partial = "스타터 요금제는 월 39만 원입니다. 설치비는 문서에 나와 있지 않습니다."
    assert check(partial, max_share=0.4).reason == "dont_know"
    assert check("본사에 문의 바랍니다.", phrases=["문의 바랍니다"]).reason == "dont_know"


def test_questions_are_not_judged():
    """A customer may well write '어떻게 해야 할지 모르겠습니다.'"""
    assert DontKnowFilter.accepts == (Answer,)
