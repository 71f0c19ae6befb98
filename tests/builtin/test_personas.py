"""The question generator `personas`, with a model that misbehaves."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from wmsforge.builtin.persona_prompt import SHOWN, build_messages, wording
from wmsforge.builtin.personas import PersonaQuestions, answer_schema, repeats
from wmsforge.errors import RecordError, StepError
from wmsforge.records import Persona
from wmsforge.steps.chat_model import ChatRequest, ChatResponse
from wmsforge.testing import LocalContext

PERSONAS = """
personas:
  - {name: 김영수, role: 관리자, background: 수기 관리 중, concerns: [비용, 교육], question_style: 직설적}
  - {name: 박지현}
"""


class ScriptedChat:
    """Answers each request with the next text of the script, or with what a function makes of the request."""

    def __init__(self, *script: str | ChatResponse | Exception | Callable[[ChatRequest], str], instruct=True) -> None:
        self.name = "customer (scripted)"
        self.instruct = instruct
        self.script = list(script)
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.requests.append(request)
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        if callable(said):
            said = said(request)
        return said if isinstance(said, ChatResponse) else ChatResponse(text=said)


def reply(*questions: str, level: str = "beginner") -> str:
    asked = [{"question": question, "difficulty": level} for question in questions]
    return json.dumps({"questions": asked}, ensure_ascii=False)


def obedient(request: ChatRequest) -> str:
    """Ask as many questions as wanted, each with a word of its own."""
    topic = request.messages[1].content.splitlines()[0].removeprefix("주제: ")
    count = request.json_schema["properties"]["questions"]["minItems"]
    return reply(*(f"{topic}에서 {word}은 어떻게 정하나요?" for word in ("기준", "담당", "순서")[:count]))


async def generator(tmp_path, chat, **options):
    path = tmp_path / "personas.yaml"
    path.write_text(PERSONAS, encoding="utf-8")
    options = {"topics": ("도입 비용", "피킹"), "per_topic": 2, **options}
    context = LocalContext(tmp_path, {"customer": chat})
    component = PersonaQuestions(PersonaQuestions.Options(model="customer", personas=path, **options), context)
    await component.open()
    return component


async def questions_of(component, name="김영수"):
    task = dict(component.tasks(()))[name]
    return [question async for question in component.generate(task)]


async def test_every_persona_asks_about_every_topic(tmp_path):
    chat = ScriptedChat(obedient)
    component = await generator(tmp_path, chat)
    assert [name for name, _ in component.tasks(())] == ["김영수", "박지현"]
    questions = await questions_of(component)
    assert [(one.topic, one.text) for one in questions] == [
        ("도입 비용", "도입 비용에서 기준은 어떻게 정하나요?"),
        ("도입 비용", "도입 비용에서 담당은 어떻게 정하나요?"),
        ("피킹", "피킹에서 기준은 어떻게 정하나요?"),
        ("피킹", "피킹에서 담당은 어떻게 정하나요?"),
    ]
    assert questions[0].persona == Persona(
        name="김영수", role="관리자", background="수기 관리 중", concerns=("비용", "교육"), question_style="직설적"
    )
    assert (questions[0].difficulty, questions[0].origin) == ("beginner", "customer (scripted)")
    assert len({one.id for one in questions + await questions_of(component, "박지현")}) == 8
    assert component.context.warnings == []
    assert [request.sample for request in chat.requests] == [0, 0, 0, 0]


async def test_prompt_plays_the_persona_and_lists_what_was_asked(tmp_path):
    chat = ScriptedChat(obedient)
    await questions_of(await generator(tmp_path, chat))
    system, user = (message.content for message in chat.requests[1].messages)
    assert "'김영수'" in system
    for line in ("- 직함: 관리자", "- 상황: 수기 관리 중", "- 관심사: 비용, 교육", "- 질문 스타일: 직설적"):
        assert line in system.splitlines()
    assert user.splitlines()[0] == "주제: 피킹"
    assert "- 도입 비용에서 담당은 어떻게 정하나요?" in user.splitlines()
    assert chat.requests[1].json_schema == answer_schema(2)
    assert "이미 한 질문" not in chat.requests[0].messages[1].content


async def test_levels_go_round_over_the_topics(tmp_path):
    chat = ScriptedChat(obedient)
    await questions_of(await generator(tmp_path, chat, topics=("입고", "출고", "반품")))
    lines = [request.messages[1].content.splitlines()[2] for request in chat.requests]
    levels = [[level for level in ("beginner", "intermediate", "expert") if level in line] for line in lines]
    assert levels == [["beginner", "intermediate"], ["beginner", "expert"], ["intermediate", "expert"]]


async def test_each_question_is_there_before_the_next_call(tmp_path):
    chat = ScriptedChat(obedient)
    component = await generator(tmp_path, chat)
    running = component.generate(dict(component.tasks(()))["김영수"])
    await anext(running)
    assert len(chat.requests) == 1
    await running.aclose()


async def test_fences_and_text_around_the_json_do_not_matter(tmp_path):
    chat = ScriptedChat("네, 질문드립니다.\n```json\n" + reply("비용은 얼마인가요?", "기간은 며칠인가요?") + "\n```")
    component = await generator(tmp_path, chat, topics=("도입 비용",))
    assert [one.text for one in await questions_of(component)] == ["비용은 얼마인가요?", "기간은 며칠인가요?"]
    assert len(chat.requests) == 1


async def test_a_cut_off_answer_counts_and_the_missing_are_asked_for(tmp_path):
    whole = reply("비용은 얼마인가요?", "기간은 며칠인가요?")
    cut = ChatResponse(text=whole[: whole.index("며칠")], finish_reason="length")
    chat = ScriptedChat(cut, reply("인력은 몇 명 필요한가요?", "하나 더 물어도 되나요?", level="intermediate"))
    component = await generator(tmp_path, chat, topics=("도입 비용",))
    questions = await questions_of(component)
    assert [one.text for one in questions] == ["비용은 얼마인가요?", "인력은 몇 명 필요한가요?"]
    again = chat.requests[1]
    assert again.sample == 1
    assert again.json_schema == answer_schema(1)
    assert "- 비용은 얼마인가요?" in again.messages[1].content
    assert "intermediate" in again.messages[1].content.splitlines()[2]
    assert component.context.warnings == []


async def test_repeated_questions_are_not_taken(tmp_path):
    chat = ScriptedChat(
        reply("WMS 비용은 얼마나 드나요?", "WMS 비용을 얼마나 듭니까?"),
        reply("WMS  비용은 얼마나 드나요?!", "혹시 기간은 얼마나 걸리나요?"),
    )
    component = await generator(tmp_path, chat, topics=("도입 비용",))
    texts = [one.text for one in await questions_of(component)]
    assert texts == ["WMS 비용은 얼마나 드나요?", "혹시 기간은 얼마나 걸리나요?"]


async def test_what_was_asked_about_another_topic_is_not_asked_again(tmp_path):
    chat = ScriptedChat(reply("비용은 얼마나 드나요?"), reply("비용은 얼마나 드나요?"), reply("피킹은 누가 하나요?"))
    component = await generator(tmp_path, chat, per_topic=1)
    assert [one.text for one in await questions_of(component)] == ["비용은 얼마나 드나요?", "피킹은 누가 하나요?"]


async def test_rounds_are_limited_and_what_is_missing_is_said(tmp_path):
    chat = ScriptedChat(
        reply("비용은 얼마나 드나요?"), "모르겠습니다", reply(), reply("피킹은 누가 하나요?", "검수는 언제 하나요?")
    )
    component = await generator(tmp_path, chat, max_rounds=3)
    assert len(await questions_of(component)) == 3
    assert [request.sample for request in chat.requests] == [0, 1, 2, 0]
    (warning,) = component.context.warnings
    assert warning.startswith("김영수 asked 3 of 4 questions; missing are 1 about '도입 비용' (last reason: ")


async def test_a_persona_without_a_question_is_rejected_with_the_raw_answer(tmp_path):
    chat = ScriptedChat("모르겠습니다")
    component = await generator(tmp_path, chat, max_rounds=2)
    with pytest.raises(RecordError) as caught:
        await questions_of(component)
    assert (caught.value.reason, caught.value.raw) == ("malformed_json", "모르겠습니다")
    assert caught.value.detail == (
        "김영수 asked nothing: 2 answers of customer (scripted) did not hold the JSON asked for "
        "(the last: Invalid JSON: expected value at line 1 column 1)"
    )
    assert len(chat.requests) == 4


async def test_empty_lists_only_are_too_few_questions(tmp_path):
    component = await generator(tmp_path, ScriptedChat(reply()))
    with pytest.raises(RecordError) as caught:
        await questions_of(component)
    assert caught.value.reason == "too_few_questions"


async def test_a_call_that_fails_costs_its_topic_only(tmp_path):
    chat = ScriptedChat(RecordError("timeout", "6 attempts failed"), obedient)
    component = await generator(tmp_path, chat)
    assert {one.topic for one in await questions_of(component)} == {"피킹"}
    assert "2 about '도입 비용' (last reason: timeout: 6 attempts failed)" in component.context.warnings[0]


async def test_an_error_that_stops_the_step_goes_through(tmp_path):
    component = await generator(tmp_path, ScriptedChat(StepError("wrong key")))
    with pytest.raises(StepError, match="wrong key"):
        await questions_of(component)


async def test_a_base_model_is_warned_about(tmp_path):
    component = await generator(tmp_path, ScriptedChat(obedient, instruct=False))
    assert component.context.warnings[0].startswith("customer (scripted) is a base model and 'personas' needs")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("피킹 오류율을 줄이려면 어떻게 해야 하나요?", "피킹 오류율을 줄이려면 어떻게 해야 할까요?", True),
        ("반품 검수 기준은 어떻게 설정하나요?", "반품 검수 기준을 어떻게 설정합니까?", True),
        ("WMS 도입 비용은 얼마나 드나요?", "혹시 WMS 도입 비용은 얼마나 드나요?", True),
        ("피킹 오류율을 줄이려면 어떻게 해야 하나요?", "재고 오류율을 줄이려면 어떻게 해야 하나요?", False),
        ("입고 예정은 언제까지 등록하나요?", "출고 예정은 언제까지 등록하나요?", False),
        ("반품 검수 기준은 어떻게 설정하나요?", "반품 등급 기준은 어떻게 설정하나요?", False),
        ("비용은요?", "기간은요?", False),
    ],
)
def test_repeats(one, other, same):
    assert repeats(one, [other]) is same
    assert repeats(other, ["전혀 다른 질문입니다.", one]) is same


def test_a_prompt_lists_the_latest_questions_only():
    asked = [f"질문 {number}" for number in range(SHOWN + 5)]
    user = build_messages(wording("ko"), Persona(name="김영수"), "입고", ["expert"], asked)[1].content
    assert "- 질문 4" not in user.splitlines()
    assert "- 질문 5" in user.splitlines()


def test_other_languages_are_asked_in_english():
    system, user = build_messages(wording("de"), Persona(name="Kim", role="manager"), "Picking", ["expert"], [])
    assert "- Role: manager" in system.content.splitlines()
    assert user.content.splitlines()[0] == "Topic: Picking"


@pytest.mark.parametrize(
    ("topics", "message"),
    [((), "at least 1 item"), (("입고", "입고 "), "names '입고' more than once"), (("",), "at least 1")],
)
def test_wrong_topics_are_refused(topics, message):
    with pytest.raises(ValidationError, match=message):
        PersonaQuestions.Options(model="customer", personas="personas.yaml", topics=topics)
