"""The grounded filter on faithful answers, on what small models make up, and on the judge's word."""

import json

import pytest
from wmsforge_korean.grounded import GroundedFilter

from wmsforge.errors import RecordError, StepError
from wmsforge.records import Answer, Passage, Question, Retrieved
from wmsforge.steps.chat_model import ChatResponse
from wmsforge.testing import LocalContext

PASSAGES = {
    "재고 실사 > 순환 실사": "순환 실사는 전체를 한꺼번에 세지 않고 로케이션을 나누어 매일 조금씩 세는 방식입니다. "
    "하루에 180개 로케이션을 세며, 2명이 2시간이면 끝낼 수 있습니다. "
    "A등급 로케이션은 한 달에 한 번, B등급은 분기에 한 번, C등급은 반기에 한 번 셉니다. "
    "실사하는 로케이션만 잠그므로 출고를 멈추지 않아도 됩니다.",
    "출고 > 크로스도킹의 뜻": "크로스도킹은 입고된 상품을 보관 로케이션에 적치하지 않고 바로 출고 구역으로 "
    "옮겨 내보내는 방식입니다. 보관 비용과 처리 시간이 줄어들며, 평균 처리 시간이 26시간에서 5시간으로 줄었습니다.",
    "오류 코드 > E-404 오상차": "E-404는 배정된 차량이 아닌 화물을 상차하려고 할 때 표시되는 오류입니다. "
    "화물을 내려 올바른 도크로 옮깁니다.\n\n| 담당 | 처리 기한(분) |\n|---|---|\n| 상차 작업자 | 30 |",
}

FAITHFUL = """
순환 실사가 뭔가요? | 순환 실사는 로케이션을 나누어 매일 조금씩 세는 방식입니다.
순환 실사에 몇 명이 필요한가요? | 하루에 180개 로케이션을 세며, 2명이 2시간이면 끝낼 수 있습니다.
순환 실사 인원은 몇 명인가요? | 두 명이 2시간이면 180개 로케이션을 셀 수 있습니다.
순환 실사 주기를 알려 주세요. | A등급은 한 달에 1회, B등급은 분기에 1회, C등급은 반기에 1회 셉니다.
실사하면 출고를 멈춰야 하나요? | 실사하는 로케이션만 잠그므로 출고를 멈추지 않아도 됩니다.
크로스도킹이 뭔가요? | 크로스도킹은 입고된 상품을 적치하지 않고 바로 출고 구역으로 옮기는 방식입니다.
크로스도킹의 장점은 무엇인가요? | 보관 비용이 줄고, 처리 시간도 26시간에서 5시간으로 줄었습니다.
E-404 오류는 얼마 안에 처리하나요? | E-404 오상차는 상차 작업자가 30분 안에 처리합니다.
E-404가 뜨면 어떻게 하나요? | 1. 화물을 내립니다.\\n2. 올바른 도크로 옮깁니다.
화물 3개가 E-404이면 어떻게 하나요? | 화물 3개를 내려 올바른 도크로 옮깁니다.
"""
MADE_UP = """
unsupported_sentence | 순환 실사가 뭔가요? | 순환 실사는 RFID 리더기를 단 드론이 재고를 자동으로 세는 최신 기술입니다.
unsupported_sentence | 크로스도킹의 장점은? | 크로스도킹을 도입하면 인건비가 절반으로 줄고 고객 만족도가 올라갑니다.
unsupported_sentence | 크로스도킹이 뭔가요? | 무료 주차는 하루 3시간까지이고, 방문증을 앞 유리에 올려 두어야 합니다.
unsupported_sentence | 크로스도킹이 뭔가요? | 바로 출고 구역으로 옮기는 방식입니다. 콜드브루는 찬물로 우려냅니다.
unsupported_sentence | 드론으로 셀 수 있나요? | 드론으로 재고를 실시간으로 촬영할 수 있습니다.
unsupported_number | 순환 실사 인원은? | 하루에 180개 로케이션을 세며, 3명이 2시간이면 끝낼 수 있습니다.
unsupported_number | 처리 시간이 얼마나 줄었나요? | 평균 처리 시간이 26시간에서 5분으로 줄었습니다.
unsupported_number | E-404는 뭔가요? | E-405는 화물을 상차하려고 할 때 표시되는 오류입니다.
off_question | 세금계산서를 발행할 수 있나요? | 실사하는 로케이션만 잠그므로 출고를 멈추지 않아도 됩니다.
says_nothing | 실사하면 출고를 멈추나요? | 네, 그렇습니다.
"""


def answer(text, question="순환 실사가 뭔가요?", passages=PASSAGES):
    retrieved = tuple(
        Retrieved(
            passage=Passage(
                id=f"p{number}", document_id="d", path="m.md", text=text, start=0, end=len(text), section=section
            ),
            score=1.0,
        )
        for number, (section, text) in enumerate(passages.items())
    )
    return Answer(id="a", question=Question(id="q", text=question), text=text, retrieved=retrieved)


async def open_filter(folder, model=None, **options):
    judge = {"judge": "a judge"} if model else {}
    filter = GroundedFilter(GroundedFilter.Options(**judge, **options), LocalContext(folder, {"a judge": model}))
    await filter.open()
    return filter


def rows(table):
    return [line.replace("\\n", "\n").split(" | ") for line in table.strip().splitlines()]


@pytest.mark.parametrize(("question", "text"), rows(FAITHFUL))
async def test_faithful_answers_are_kept(question, text, tmp_path):
    verdict = await (await open_filter(tmp_path)).check(answer(text, question))
    assert (verdict.keep, verdict.reason, verdict.detail) == (True, "", "")
    assert 0 < verdict.score <= 1


@pytest.mark.parametrize(("reason", "question", "text"), rows(MADE_UP))
async def test_made_up_answers_are_dropped(reason, question, text, tmp_path):
    verdict = await (await open_filter(tmp_path)).check(answer(text, question))
    assert (verdict.keep, verdict.reason) == (False, reason)


async def test_answer_without_passages_is_dropped(tmp_path):
    verdict = await (await open_filter(tmp_path)).check(answer("순환 실사입니다.", passages={}))
    assert verdict.reason == "no_passages"


async def test_detail_names_the_sentence_and_the_number_that_decided(tmp_path):
    filter = await open_filter(tmp_path)
    made_up = answer("순환 실사는 매일 조금씩 세는 방식입니다. 주차장은 지하에 있습니다.")
    assert (await filter.check(made_up)).detail == "0% supported, at least 50%: '주차장은 지하에 있습니다.'"
    wrong = answer("하루에 180개 로케이션을 세며, 3명이면 됩니다.")
    assert (await filter.check(wrong)).detail == (
        "not in the passage: 3 명; in '하루에 180개 로케이션을 세며, 3명이면 됩니다.'"
    )


async def test_thresholds_decide(tmp_path):
    loose = answer("순환 실사란 창고 전체를 한 번에 세는 대신 로케이션을 나눠 날마다 세는 방법입니다.")
    assert (await (await open_filter(tmp_path)).check(loose)).keep
    assert (await (await open_filter(tmp_path, min_support=0.9)).check(loose)).reason == "unsupported_sentence"
    assert (await (await open_filter(tmp_path, min_score=0.8)).check(loose)).reason == "low_score"
    wrong = answer("하루에 180개 로케이션을 세며, 3명이 2시간이면 끝낼 수 있습니다.")
    assert (await (await open_filter(tmp_path, check_figures=False)).check(wrong)).keep
    beside = answer(*reversed(rows(MADE_UP)[-2][1:]))
    assert (await (await open_filter(tmp_path, min_relevance=0)).check(beside)).keep


@pytest.mark.parametrize(
    "worse",
    [
        "하루에 180개 로케이션을 세며, 2명이면 됩니다.",
        "순환 실사는 매일 로케이션을 잠그는 방식입니다.",
        "순환 실사는 드론이 세는 방식입니다.",
    ],
)
async def test_score_puts_the_better_candidate_first(worse, tmp_path):
    filter = await open_filter(tmp_path)
    better = "순환 실사는 로케이션을 나누어 매일 조금씩 세는 방식입니다."
    assert (await filter.check(answer(better))).score > (await filter.check(answer(worse))).score


async def test_quotation_on_the_question_scores_one(tmp_path):
    verdict = await (await open_filter(tmp_path)).check(
        answer("실사하는 로케이션만 잠그므로 출고를 멈추지 않아도 됩니다.", "실사하는 동안 출고를 멈추나요?")
    )
    assert verdict.score == pytest.approx(1.0)


class Judge:
    """Gives the texts it was made with, and remembers what it was asked."""

    name = "judge (fake)"

    def __init__(self, *texts, instruct=True):
        self.texts = list(texts)
        self.instruct = instruct
        self.requests = []

    async def complete(self, request):
        self.requests.append(request)
        return ChatResponse(text=self.texts.pop(0))


async def test_judge_is_asked_after_the_words_and_its_word_counts(tmp_path):
    judge = Judge(
        json.dumps({"supported": False, "reason": "조건이 뒤바뀌었습니다."}),
        json.dumps({"supported": True, "reason": "같은 뜻입니다."}),
    )
    filter = await open_filter(tmp_path, judge)
    reversed_condition = answer("E-404는 배정된 화물을 상차하려고 할 때 표시되는 오류입니다.", "E-404는 뭔가요?")
    verdict = await filter.check(reversed_condition)
    assert (verdict.reason, verdict.detail) == ("judge_unsupported", "judge (fake): 조건이 뒤바뀌었습니다.")
    assert (await filter.check(answer("순환 실사는 매일 조금씩 세는 방식입니다."))).keep
    assert (await filter.check(answer("주차장은 지하에 있습니다."))).reason == "unsupported_sentence"
    assert len(judge.requests) == 2
    schema = judge.requests[0].json_schema
    assert set(schema["properties"]) == {"supported", "reason"}
    assert "배정된 차량이 아닌 화물" in judge.requests[0].messages[-1].content


async def test_judge_that_gives_no_json_rejects_the_record(tmp_path):
    filter = await open_filter(tmp_path, Judge("네, 맞습니다.", '{"supported": "maybe", "reason": ""}'))
    with pytest.raises(RecordError) as error:
        await filter.check(answer("순환 실사는 매일 조금씩 세는 방식입니다."))
    assert error.value.reason == "schema_mismatch"


async def test_base_model_cannot_judge(tmp_path):
    with pytest.raises(StepError) as error:
        await open_filter(tmp_path, Judge(instruct=False))
    assert str(error.value) == (
        "Step 'test': filter 'grounded' was given the judge 'judge (fake)', a base model, which follows no rules.\n"
        "Name an instruction-tuned model, or leave 'judge' out."
    )


def test_only_answers_are_judged():
    assert GroundedFilter.accepts == (Answer,)
