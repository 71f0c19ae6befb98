"""The bytes of each format of the core."""

from __future__ import annotations

import json

import pytest

from wmsforge.builtin.alpaca import Alpaca
from wmsforge.builtin.dataset.rows import metadata
from wmsforge.builtin.jsonl import Jsonl
from wmsforge.builtin.messages_json import MessagesJson
from wmsforge.builtin.sharegpt import ShareGpt


@pytest.fixture
def answers(make_answer, persona):
    return [
        make_answer(1, "a.txt#1 b.pdf@2", persona=persona, topic="입고", difficulty="beginner"),
        make_answer(2, text='줄\n바꿈과 \u2028 구분자, "따옴표", 😀은요?'),
    ]


def export(component, path, answers, origin, context, **options):
    component(component.Options(path=path, **options), context).export(answers, origin)
    return path.read_text(encoding="utf-8")


def test_messages_json_is_what_json_dumps_gives(answers, origin, context, tmp_path):
    text = export(MessagesJson, tmp_path / "d.json", answers, origin, context)
    rows = json.loads(text)
    assert text == json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    assert rows[1]["messages"][0]["content"] == answers[1].question.text


def test_jsonl_has_the_rows_of_messages_json_one_a_line(answers, origin, context, tmp_path):
    rows = json.loads(export(MessagesJson, tmp_path / "d.json", answers, origin, context))
    text = export(Jsonl, tmp_path / "d.jsonl", answers, origin, context)
    assert text.endswith("\n")
    assert [json.loads(line) for line in text[:-1].split("\n")] == rows


def test_alpaca_has_the_question_as_instruction(answers, origin, context, tmp_path):
    rows = json.loads(export(Alpaca, tmp_path / "d.json", answers, origin, context))
    assert rows[0] == {
        "instruction": "질문 1은 무엇인가요?",
        "input": "",
        "output": "답변 1입니다.",
        "metadata": metadata(answers[0], origin).model_dump(mode="json"),
    }


def test_sharegpt_has_turns_of_human_and_gpt(answers, origin, context, tmp_path):
    rows = json.loads(export(ShareGpt, tmp_path / "d.json", answers, origin, context, system="전문가입니다."))
    assert rows[0] == {
        "conversations": [
            {"from": "system", "value": "전문가입니다."},
            {"from": "human", "value": "질문 1은 무엇인가요?"},
            {"from": "gpt", "value": "답변 1입니다."},
        ],
        "metadata": metadata(answers[0], origin).model_dump(mode="json"),
    }


@pytest.mark.parametrize("component", [Alpaca, ShareGpt])
def test_a_jsonl_path_gives_lines(component, answers, origin, context, tmp_path):
    rows = json.loads(export(component, tmp_path / "d.json", answers, origin, context))
    lines = export(component, tmp_path / "d.jsonl", answers, origin, context)
    assert [json.loads(line) for line in lines[:-1].split("\n")] == rows


def test_system_prompt_leads_every_row_of_messages(answers, origin, context, tmp_path):
    rows = json.loads(export(MessagesJson, tmp_path / "d.json", answers, origin, context, system="전문가입니다."))
    assert [row["messages"][0] for row in rows] == [{"role": "system", "content": "전문가입니다."}] * 2
