"""Personal data is masked or dropped; the numbers of a warehouse are not personal data."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from wmsforge_korean.personal_data import PersonalDataFilter

from wmsforge.records import Answer, Passage, Persona, Question, Retrieved
from wmsforge.testing import LocalContext

MASKED = """
고객 휴대전화 010-1234-5678로 문자를 보냅니다. | 고객 휴대전화 [전화번호]로 문자를 보냅니다.
고객 휴대전화는 01012345678입니다. | 고객 휴대전화는 [전화번호]입니다.
긴급 연락처는 02-555-0199입니다. | 긴급 연락처는 [전화번호]입니다.
상품 문의는 010-1234-5678로 하세요. | 상품 문의는 [전화번호]로 하세요.
주문자 연락처: 010-1234-5678 | 주문자 연락처: [전화번호]
주민등록번호 900101-1234567을 적었습니다. | 주민등록번호 [주민등록번호]을 적었습니다.
알림은 hong@example.com으로 보냅니다. | 알림은 [이메일]으로 보냅니다.
환불 계좌 110-123-456789로 입금합니다. | 환불 계좌 [계좌번호]로 입금합니다.
카드 4111-1111-1111-1111로 결제했습니다. | 카드 [카드번호]로 결제했습니다.
여권번호 M12345678을 확인합니다. | 여권번호 [여권번호]을 확인합니다.
생년월일 1990년 1월 1일 고객입니다. | 생년월일 [생년월일] 고객입니다.
서울특별시 강남구 테헤란로 123으로 보내 주세요. | [주소]으로 보내 주세요.
담당자 홍길동 010-1234-5678 | 담당자 [이름] [전화번호]
문의: 김철수(010-9876-5432) | 문의: [이름]([전화번호])
박지현 대리 02-555-0199로 전화하세요. | [이름] 대리 [전화번호]로 전화하세요.
전화번호는 010-1234-5678이고 송장번호는 010-1234-5679입니다. | 전화번호는 [전화번호]이고 송장번호는 010-1234-5679입니다.
"""
UNTOUCHED = """
주문번호 010-2024-1105로 조회합니다.
주문 번호: 010-2024-1105
주문번호 20241105-0001234는 피킹 중입니다.
송장번호 1234-5678-9012를 스캔합니다.
송장 번호는 6894 1234 5678입니다.
송장 010-1234-5678이 중복되었습니다.
운송장 123456789012가 중복되었습니다.
오류 코드 E-4012가 표시되면 재고 조장에게 알립니다.
로케이션 C-12-03-02에 적치합니다.
재고 위치 A-01-02-03 수량 1,234 EA
GTIN 8801234567893 바코드를 스캔하세요.
SSCC 00880123456789012345를 라벨에 인쇄합니다.
로트 L20240315-01은 유통기한이 2025-03-14입니다.
로트 M12345678은 보류 상태입니다.
배치번호 880101-1234567을 확인합니다.
전표 번호 0101234567은 반품 전표입니다.
SKU 010-1234-5678 품목은 단종되었습니다.
상품코드 02-123-4567을 검색합니다.
거래명세서 번호 110-123-456789를 입력합니다.
예약번호 070-1234-5678입니다.
발주서 PO-2024-000123의 수량은 1,200개입니다.
고객센터 1588-1234로 문의하세요.
프린터의 IP는 192.168.0.15입니다.
차량 12가 3456은 3번 도크에 배정합니다.
공급사 사업자등록번호를 입력합니다.
2025년 3월 1일 생산 품목은 2025년 4월까지 출고합니다.
도크는 모두 16개이고 입고 전용 6개, 출고 전용 8개입니다.
선임자와 함께하는 현장 실습은 3일이고, 오전조는 7시부터 16시까지입니다.
재고 조장은 금액이 50만 원을 넘으면 센터장의 승인을 받습니다.
범주와 인벤토리의 기본값은 태그에서 정합니다.
"""


async def open_filter(folder, **options):
    filter = PersonalDataFilter(PersonalDataFilter.Options(**options), LocalContext(folder))
    await filter.open()
    return filter


def lines(table):
    return table.strip().splitlines()


@pytest.mark.parametrize("line", lines(MASKED))
async def test_personal_data_is_masked_by_its_kind(line, tmp_path):
    text, expected = line.split(" | ")
    verdict = (await open_filter(tmp_path)).check(Question(id="q", text=text))
    assert verdict.keep
    assert verdict.replacement.text == expected


@pytest.mark.parametrize("text", lines(UNTOUCHED))
async def test_numbers_of_the_warehouse_stay(text, tmp_path):
    verdict = (await open_filter(tmp_path)).check(Question(id="q", text=text))
    assert (verdict.keep, verdict.detail, verdict.replacement) == (True, "", None)


async def test_answer_and_its_question_are_masked_and_nothing_else(tmp_path):
    passage = Passage(id="p", document_id="d", path="a.txt", text="문의 010-1111-2222", start=0, end=16)
    asked = Question(id="q", text="010-1234-5678로 온 반품은요?", persona=Persona(name="김영수", role="관리자"))
    record = Answer(
        id="a", question=asked, text="02-555-0199로 문의하세요.", retrieved=(Retrieved(passage=passage, score=1.0),)
    )
    replaced = (await open_filter(tmp_path)).check(record).replacement
    assert replaced.text == "[전화번호]로 문의하세요."
    assert replaced.question.text == "[전화번호]로 온 반품은요?"
    expected = record.model_copy(
        update={"text": replaced.text, "question": asked.model_copy(update={"text": replaced.question.text})}
    )
    assert replaced == expected


async def test_drop_names_the_kinds_and_counts_but_never_the_data(tmp_path):
    filter = await open_filter(tmp_path, action="drop")
    verdict = filter.check(Question(id="q", text="담당자 홍길동 010-1234-5678, hong@example.com, 02-555-0199"))
    assert (verdict.keep, verdict.reason, verdict.detail) == (False, "personal_data", "email 1, name 1, phone 2")


async def test_kinds_choose_what_is_looked_for(tmp_path):
    filter = await open_filter(tmp_path, kinds=["email", "ip_address"])
    verdict = filter.check(Question(id="q", text="02-555-0199, hong@example.com, 192.168.0.15"))
    assert verdict.replacement.text == "02-555-0199, [이메일], [IP주소]"


def test_unknown_kind_is_refused():
    with pytest.raises(ValidationError, match="kinds"):
        PersonalDataFilter.Options(kinds=["shoe_size"])


@pytest.fixture
def look_alikes():
    path = Path(__file__).resolve().parents[4] / "shared/data/nasty/pii_like.txt"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path.read_text(encoding="utf-8").strip()


async def test_look_alikes_of_the_shared_corpus_are_told_apart(look_alikes, tmp_path):
    verdict = (await open_filter(tmp_path)).check(Question(id="q", text=look_alikes))
    assert verdict.replacement.text == (
        "담당자 [이름] [전화번호], 주민등록번호 [주민등록번호], [이메일], 계좌 [계좌번호], 송장번호 6012-3456-7890\n"
        "재고 위치 A-01-02-03 수량 1,234 EA"
    )
