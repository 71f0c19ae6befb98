"""The fake customer that asks what people wrote, as the question generator hears it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from mock_gemini import MockGemini, serving, subprocess_server
from mock_gemini_questions import QuestionBank

from wmsforge.builtin.persona_prompt import ENGLISH, KOREAN, build_messages
from wmsforge.builtin.personas import answer_schema
from wmsforge.records import Persona
from wmsforge.steps.chat_model import ChatRequest

FILE = Path(__file__).resolve().parents[3] / "recipes/questions.csv"
WRITTEN = list(csv.DictReader(FILE.open(encoding="utf-8")))
KIM = Persona(name="김영수", role="중소 물류센터 관리자")
LEVELS = ("beginner", "intermediate", "beginner")


def request(topic="피킹 작업", wanted=LEVELS, persona=KIM, asked=(), words=KOREAN) -> ChatRequest:
    messages = build_messages(words, persona, topic, wanted, asked)
    return ChatRequest(messages=messages, max_tokens=4000, json_schema=answer_schema(len(wanted)))


async def answers(open_model, *requests: ChatRequest, questions: Path | None = FILE) -> list[list[tuple[str, str]]]:
    """Return (question, difficulty) of each request's answer."""
    async with serving(MockGemini(questions=questions)) as url:
        model = await open_model(url)
        texts = [(await model.complete(one)).text for one in requests]
    return [[(one["question"], one["difficulty"]) for one in json.loads(text)["questions"]] for text in texts]


def rows(**wanted: str) -> set[tuple[str, str]]:
    found = [row for row in WRITTEN if all(row[column] == value for column, value in wanted.items())]
    return {(row["question"], row["difficulty"]) for row in found}


@pytest.mark.parametrize("words", [KOREAN, ENGLISH], ids=["Korean prompt", "English prompt"])
async def test_a_persona_asks_its_own_questions_of_the_topic_in_the_levels_asked_for(open_model, words):
    first, again = await answers(open_model, request(words=words), request(words=words))
    assert first == again
    assert sorted(level for _, level in first) == sorted(LEVELS)
    assert len(set(first)) == 3 and set(first) <= rows(persona="김영수", topic="피킹 작업")


async def test_who_has_no_more_questions_asks_those_of_others_and_then_makes_them_up(open_model):
    every = rows(topic="피킹 작업")
    count = len(every) + 2
    (found,) = await answers(open_model, request(wanted=("beginner",) * count))
    texts = [text for text, _ in found]
    assert len(set(texts)) == count
    assert set(texts[: len(every)]) == {text for text, _ in every}
    own = {text for text, _ in rows(persona="김영수", topic="피킹 작업")}
    assert set(texts[: len(own)]) == own, "others' questions came before the persona's own"


async def test_a_persona_that_is_not_in_the_file_asks_what_others_wrote_at_the_level(open_model):
    stranger = Persona(name="홍길동", role="물류 담당")
    (found,) = await answers(open_model, request(wanted=("expert", "expert"), persona=stranger))
    assert len(set(found)) == 2 and set(found) <= rows(topic="피킹 작업", difficulty="expert")


async def test_what_was_asked_before_is_not_asked_again(open_model):
    own = sorted(text for text, _ in rows(persona="김영수", topic="피킹 작업"))
    (found,) = await answers(open_model, request(wanted=("beginner",), asked=own[1:]))
    assert [text for text, _ in found] == own[:1]


async def test_another_topic_and_no_file_get_the_questions_made_up_as_ever(open_model):
    requests = (request("로봇 도입"), request())
    without = await answers(open_model, *requests, questions=None)
    unknown, known = await answers(open_model, *requests)
    assert unknown == without[0] and known != without[1]


async def test_other_requests_choose_other_questions(open_model):
    many = [request(wanted=("expert",), persona=Persona(name=f"담당자 {n}", role="담당")) for n in range(12)]
    assert len({one[0] for one in await answers(open_model, *many)}) > 4


async def test_the_file_is_an_option_of_the_command_line(open_model):
    with subprocess_server("--questions", str(FILE)) as url:
        answer = json.loads((await (await open_model(url)).complete(request())).text)
    assert {one["question"] for one in answer["questions"]} <= {row["question"] for row in WRITTEN}


def test_a_file_without_a_column_is_refused(tmp_path):
    (tmp_path / "questions.csv").write_text("question,persona\n어떻게 하나요?,김영수\n", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the columns difficulty, topic"):
        QuestionBank(tmp_path / "questions.csv")
