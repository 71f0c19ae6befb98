"""The degenerate filter on what small models write when they fail, and on what only looks like it."""

import pytest

from wmsforge.builtin.degenerate import DegenerateFilter
from wmsforge.records import Answer, Question
from wmsforge.testing import LocalContext

GOOD = "입고 검수는 전수 검수와 샘플 검수로 나뉩니다."

LOOPS = [
    ("loop", "재고 정확도는 재고 정확도는 재고 정확도는 재고 정확도는"),
    ("loop", f"{GOOD} 네, 네, 네, 네."),
    ("loop", "피킹 방법은 " + "DPS 피킹, 배치 피킹, " * 6 + "등이 있습니다."),
    ("loop", "입고입고입고입고입고를 처리합니다."),
    ("stutter", "화주별 요율은 화주별 요율을 곱해 청구 내역을 만드는 기능입니다."),
    ("repeated_sentence", f"{GOOD} {GOOD}"),
    (
        "repeated_sentence",
        "".join(f"검수를 먼저 완료해야 합니다. {step}합니다. " for step in ("하차", "적치", "확정", "출고")),
    ),
    ("repeated_phrases", "".join(f"{n}. 입고 예정을 등록하고 도크를 배정합니다 ({n}단계).\n" for n in range(1, 9))),
]

LEAKS = [
    "크로스도킹은 보관 없이 바로 출고하는 방식입니다.\n질문: 배치 피킹이 뭔가요?\n답변: 한 번에 집습니다.",
    "크로스도킹은 보관 없이 출고하는 방식입니다. 질문: 배치 피킹이란? 답변: 한 번에 집습니다.",
    "답변: 입고는 7단계로 진행합니다.",
    "[문서 1] 입고 처리는 7단계로 진행합니다.",
    "입고는 7단계입니다. [문서 2]에 자세히 나옵니다.",
    "문서: 입고 처리 순서\n입고 처리는 7단계입니다.",
    "입고는 7단계입니다.<end_of_turn>\n<start_of_turn>user",
    "입고는 7단계입니다.<|im_end|>",
    "[INST] 입고 단계를 알려 주세요. [/INST] 7단계입니다.",
    "Question: How many docks?\nAnswer: 도크는 16개입니다.",
    "User: 도크는 몇 개인가요?",
]

CUT_OFF = [
    "입고 처리는 입고 예정 등록, 도크 배정, 하차, 검수, 라벨",
    "피킹면 보충은 피킹면 재고가 최소 수량 아래로",
    "다음 세 가지 방법이 있습니다:",
    "공급사는 입고 전날 18시까지 ASN을 전송해야 하며,",
    "1. 바코드를 스캔합니다.\n2. 수량을 입력하고,",
    "소터는 시간당 6,000",
    "",
]

ENDINGS = [
    "재고 정확도의 목표는 99.5%입니다.",
    "스마트폰으로도 할 수 있어요",
    "먼저 검수를 끝내야 하겠죠",
    "입고 조장에게 알리십시오!",
    "다음 두 가지입니다.\n- 전수 검수\n- 샘플 검수",
    "처리 순서\n1. 도크 배정\n2. 하차 및 검수",
    "승인은 센터장이 함",
    "| 등급 | 비율 |\n|---|---|\n| A | 20% |",
    "합포장은 같은 고객의 주문을 한 상자에 담는 일입니다(같은 날 주문에 한함)",
    "도크는 모두 16개입니다.**",
    "네, 쓸 수 있습니다. 😊",
    "자세한 절차는 '입고 처리 매뉴얼'을 봅니다…",
    "‘보류’ 상태로 바꿉니다.’",
    "재고를 다시 셉니다~",
]

LOOKS_ODD_BUT_IS_FINE = [
    "송장 번호는 XXXX-XXXX-XXXX 형식이고, 상품 코드는 AAAA0000입니다.",
    "1번 도크, 2번 도크, 3번 도크는 입고 전용입니다. 4번 도크, 5번 도크는 출고 전용입니다.",
    "1. 로케이션 바코드를 스캔합니다.\n2. 상품 바코드를 스캔합니다.\n3. 도착 로케이션 바코드를 스캔합니다.",
    "1. 새로 만들기를 클릭합니다.\n2. 코드를 넣습니다.\n3. 새로 만들기를 클릭합니다.\n4. 이름을 넣습니다.",
    "| 품목 | 1주 | 2주 | 3주 |\n|---|---|---|---|\n| 생수 | 예 | 예 | 예 |\n| 라면 | 예 | 예 | 예 |",
    "고객 질문에는 하루 안에 답변합니다. 첨부 문서: 거래명세서, 인수증을 함께 보냅니다.",
    "입고는 A존, 출고는 B존, 반품은 R존에서 합니다. 각 존의 담당자는 조장이 매일 아침 정합니다.",
    "예산은 1,000,000,000원입니다.",
    "재고 정확도 목표는 얼마인가요? 목표는 99.5%입니다.",
]


def answer(text, question="입고 절차를 알려 주세요."):
    return Answer(id="a", question=Question(id="q", text=question), text=text)


@pytest.fixture
def check(tmp_path):
    def check(record, **options):
        return DegenerateFilter(DegenerateFilter.Options(**options), LocalContext(folder=tmp_path)).check(record)

    return check


@pytest.mark.parametrize(("reason", "text"), LOOPS)
def test_loops_are_dropped_in_answers_and_questions(reason, text, check):
    assert check(answer(text)).reason == reason
    assert check(Question(id="q", text=text)).reason == reason


@pytest.mark.parametrize("text", LEAKS)
def test_text_of_the_prompt_is_dropped(text, check):
    assert check(answer(text)).reason == "prompt_leak"


@pytest.mark.parametrize("text", CUT_OFF)
def test_cut_off_answers_are_dropped(text, check):
    assert check(answer(text)).reason == "cut_off"
    assert check(answer(text), require_sentence_end=False).keep


@pytest.mark.parametrize("text", ENDINGS + LOOKS_ODD_BUT_IS_FINE)
def test_whole_answers_are_kept(text, check):
    verdict = check(answer(text))
    assert (verdict.keep, verdict.reason, verdict.detail) == (True, "", "")


@pytest.mark.parametrize(
    ("question", "text", "reason"),
    [
        ("WMS가 무엇인가요?", "WMS가 무엇인가요.", "echo"),
        ("재고 정확도는 어떻게 계산하나요?", "재고 정확도는 어떻게 계산하나요?", "echo"),
        ("재고 정확도 목표는 얼마인가요?", "재고 정확도 목표는 99.5%입니다.", ""),
        ("크로스도킹이 뭔가요?", "크로스도킹은 언제 쓰나요? 어떤 상품에 알맞나요?", "only_questions"),
        ("반품은 며칠 안에 받아야 하나요?", "단순 변심으로 7일 안에 받아 줘야 합니까.", "only_questions"),
    ],
)
def test_an_answer_must_not_be_the_question_again(question, text, reason, check):
    assert check(answer(text, question)).reason == reason


@pytest.mark.parametrize("text", ["재고 실사 시간을 줄이는 방법", "도크가 몇 개예요", "E-101이 뜨면?"])
def test_questions_may_end_as_people_write_them(text, check):
    assert check(Question(id="q", text=text)).keep


def test_own_leak_phrases_are_looked_for(check):
    leaked = answer("도서 대출 기간은 14일입니다.")
    assert check(leaked).keep
    assert check(leaked, leak_phrases=["도서 대출"]).detail == "'도서 대출' at character 0"


def test_detail_names_the_number_that_decided(check):
    assert check(answer(LOOPS[0][1])).detail == "'재고 정확도는' 4 times in a row"
    assert check(answer(CUT_OFF[1])).detail == "ends in '충은 피킹면 재고가 최소 수량 아래로', which ends no sentence"


def test_thresholds_decide(check):
    thrice = answer("재고 재고 재고를 셉니다. 확인 확인 확인 끝입니다.")
    assert check(thrice).reason == "loop"
    assert check(thrice, max_consecutive=3).keep
    listed = answer(LOOPS[-1][1])
    assert check(listed, max_repeated_share=1.0).keep
