"""The customers that Gemini plays: independent tasks, and what a change to one of them costs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from mock_gemini import MockGemini, serving
from wmsforge_gemini.personas import GeminiPersonas, Role

from wmsforge.errors import RecordError
from wmsforge.records import Persona, Question
from wmsforge.steps.chat_model import ChatRequest, ChatResponse
from wmsforge.testing import LocalContext

PERSONAS = """\
personas:
  - {name: 김영수, role: 중소 물류센터 관리자, concerns: [비용, 직원 교육], question_style: 직설적}
  - {name: 박지현, role: 이커머스 물류 책임자, concerns: [처리 속도], question_style: 데이터 중심}
"""
TOPICS = ("입고 처리", "피킹 작업", "재고 실사")


class Counting:
    """A chat that hands every request to a model and keeps it."""

    name, instruct = "customer (gemini)", True

    def __init__(self, model):
        self.model = model
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.requests.append(request)
        return await self.model.complete(request)

    def written(self) -> set[str]:
        return {request.model_dump_json() for request in self.requests}


async def asked(generator: GeminiPersonas) -> dict[str, list[Question]]:
    await generator.open()
    return {name: [question async for question in generator.generate(task)] for name, task in generator.tasks(())}


def generator(folder: Path, chat: Counting, **options: object) -> GeminiPersonas:
    (folder / "personas.yaml").write_text(options.pop("text", PERSONAS), encoding="utf-8")
    settings = {"model": "customer", "personas": folder / "personas.yaml", "topics": TOPICS, **options}
    return GeminiPersonas(GeminiPersonas.Options(**settings), LocalContext(folder, {"customer": chat}))


async def test_each_persona_asks_about_each_topic_in_one_call(tmp_path, open_model):
    async with serving(MockGemini()) as url:
        chat = Counting(await open_model(url))
        found = await asked(generator(tmp_path, chat))
    assert list(found) == [f"{name}: {topic}" for topic in TOPICS for name in ("김영수", "박지현")]
    assert [len(questions) for questions in found.values()] == [2] * 6
    assert len(chat.requests) == 6
    texts = [question.text for questions in found.values() for question in questions]
    assert len(set(texts)) == 12 and all(text.endswith("?") for text in texts)
    assert {request.max_tokens for request in chat.requests} == {4000}


async def test_no_task_sees_what_another_asked_so_all_requests_are_known_beforehand(tmp_path, open_model):
    async with serving(MockGemini()) as url:
        chat = Counting(await open_model(url))
        first = await asked(generator(tmp_path, chat))
        texts = [question.text for questions in first.values() for question in questions]
    prompts = [message.content for request in chat.requests for message in request.messages]
    assert not any(text in prompt for text in texts for prompt in prompts)


@pytest.mark.parametrize(
    ("text", "topics", "changed"),
    [
        (PERSONAS.replace("비용", "안전"), TOPICS, 3),
        (PERSONAS, ("반품 처리", *TOPICS), 2),
        (PERSONAS, TOPICS[::-1], 0),
    ],
    ids=["concerns", "another topic first", "another order"],
)
async def test_a_change_asks_anew_for_what_it_touches_alone(tmp_path, open_model, text, topics, changed):
    async with serving(MockGemini()) as url:
        before, after = Counting(await open_model(url)), Counting(await open_model(url))
        first = await asked(generator(tmp_path, before))
        second = await asked(generator(tmp_path, after, text=text, topics=topics))
    assert len(after.written() - before.written()) == changed
    same = [name for name in first if [q.id for q in first[name]] == [q.id for q in second[name]]]
    assert len(same) == (3 if "안전" in text else 6)


async def test_an_unreadable_answer_is_asked_for_again_and_a_blocked_one_rejects_its_task_alone(tmp_path, open_model):
    async with serving(MockGemini(faults={"malformed": 1.0}, faults_per_request=1)) as url:
        chat = Counting(await open_model(url))
        found = await asked(generator(tmp_path, chat))
    assert [len(questions) for questions in found.values()] == [2] * 6
    assert Counter(request.sample for request in chat.requests) == {0: 6, 1: 6}
    async with serving(MockGemini(faults={"safety": 1.0}, faults_per_request=1)) as url:
        blocked = generator(tmp_path, Counting(await open_model(url)))
        await blocked.open()
        _, task = next(iter(blocked.tasks(())))
        with pytest.raises(RecordError, match="김영수 asked nothing about '입고 처리'") as raised:
            [question async for question in blocked.generate(task)]
    assert raised.value.reason == "refusal" and "SAFETY" in raised.value.raw


def test_the_levels_of_many_tasks_are_spread_evenly(tmp_path):
    topics = tuple(f"주제 {number}" for number in range(60))
    made = generator(tmp_path, Counting(None), topics=topics, per_topic=2)
    persona = Persona(name="김영수", role="관리자")
    levels = Counter(level for topic in topics for level in made._levels(Role(persona, topic)))
    assert set(levels) == {"beginner", "intermediate", "expert"} and min(levels.values()) > 25
