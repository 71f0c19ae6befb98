"""The question generator `question-bank`."""

from __future__ import annotations

import codecs
import json

import pytest
from pydantic import ValidationError

from wmsforge.builtin.question_bank import QuestionBank
from wmsforge.errors import RecordError, StepError
from wmsforge.records import Persona
from wmsforge.testing import LocalContext

PERSONAS = "personas: [{name: 김영수, role: 관리자, concerns: [비용]}, {name: 박지현}]"


def bank(tmp_path, name, content, **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if options.pop("personas", False):
        (tmp_path / "personas.yaml").write_text(PERSONAS, encoding="utf-8")
        options["personas"] = tmp_path / "personas.yaml"
    return QuestionBank(QuestionBank.Options(path=path, **options), LocalContext(tmp_path / "work"))


async def run(generator):
    """Return the questions by task id, and the rejected tasks by id."""
    questions, rejected = {}, {}
    for name, task in generator.tasks(()):
        assert name not in questions.keys() | rejected.keys()
        try:
            (questions[name],) = [question async for question in generator.generate(task)]
        except RecordError as error:
            rejected[name] = error
    return questions, rejected


TABLE = """\
Question, persona ,topic,difficulty
"비용이, 얼마나 드나요?",김영수,도입 비용,beginner

"입고는
 어떻게   하나요?",,입고,
피킹은요?
"""


@pytest.mark.parametrize(
    "data",
    [
        TABLE.encode(),
        codecs.BOM_UTF8 + TABLE.encode(),
        TABLE.encode("cp949"),
        TABLE.replace("\n", "\r\n").encode("cp949"),
    ],
)
async def test_csv_from_any_excel_gives_its_rows(tmp_path, data):
    questions, rejected = await run(bank(tmp_path, "questions.csv", data))
    assert rejected == {}
    assert [(one.origin, one.text, one.topic, one.difficulty) for one in questions.values()] == [
        ("questions.csv:2", "비용이, 얼마나 드나요?", "도입 비용", "beginner"),
        ("questions.csv:4", "입고는 어떻게 하나요?", "입고", None),
        ("questions.csv:6", "피킹은요?", "", None),
    ]
    assert list(questions) == [one.origin for one in questions.values()]
    assert [one.persona for one in questions.values()] == [Persona(name="김영수"), None, None]


async def test_persona_names_become_the_personas_of_the_file(tmp_path):
    generator = bank(tmp_path, "q.csv", "question,persona\n비용은요?,김영수\n기간은요?,김영두\n", personas=True)
    questions, rejected = await run(generator)
    assert questions["q.csv:2"].persona == Persona(name="김영수", role="관리자", concerns=("비용",))
    error = rejected["q.csv:3"]
    assert error.reason == "unknown_persona"
    assert error.detail == (
        f"{tmp_path / 'q.csv'}:3: {tmp_path / 'personas.yaml'} has no persona '김영두'. Did you mean '김영수'? "
        "It has: 김영수, 박지현"
    )
    assert json.loads(error.raw) == {"question": "기간은요?", "persona": "김영두"}


async def test_bad_rows_are_rejected_with_their_line_and_the_others_go_on(tmp_path):
    text = """\
question,persona,topic,difficulty
 ,김영수,입고,
비용, 기간, 인력은 어떻게 되나요?,김영수,도입,expert
비용은요?,김영수,도입,easy
비용은요?,김영수,도입,expert
비용은요?,박지현,도입,
"""
    questions, rejected = await run(bank(tmp_path, "q.csv", text))
    assert list(questions) == ["q.csv:5"]
    path = tmp_path / "q.csv"
    assert [(error.reason, error.detail) for error in rejected.values()] == [
        ("empty_question", f"{path}:2: the question is empty"),
        ("bad_row", f"{path}:3: 6 cells under 4 columns; put text with commas in double quotes"),
        ("bad_difficulty", f"{path}:4: the difficulty is 'easy'; it can be beginner, intermediate, expert or empty"),
        ("duplicate_question", f"{path}:6: the same question as q.csv:5"),
    ]
    assert rejected["q.csv:3"].raw == "비용, 기간, 인력은 어떻게 되나요?,김영수,도입,expert"


JSON_BANK = """\
[
  {"question": "비용은요?", "topic": "도입", "difficulty": null},
  "기간은\\u003f", {"question": "인력은요?"},
  {
    "question": 7
  },
  12, {"question": "반쪽 \\ud83d"}
]
"""


async def test_json_list_of_objects_and_texts(tmp_path):
    questions, rejected = await run(bank(tmp_path, "q.json", JSON_BANK))
    assert {name: one.text for name, one in questions.items()} == {
        "q.json:2": "비용은요?",
        "q.json:3": "기간은?",
        "q.json:3.2": "인력은요?",
    }
    assert {name: error.detail.partition(": ")[2] for name, error in rejected.items()} == {
        "q.json:4": "question must be text, found 7; put it in quotes",
        "q.json:7": "must be a mapping with 'question', or a text; found 12",
        "q.json:7.2": "it holds half of a character (an unpaired surrogate)",
    }
    assert all(error.raw is None or error.raw.encode() for error in rejected.values())


@pytest.mark.parametrize("name", ["q.yaml", "q.yml"])
async def test_yaml_list_of_mappings_and_texts(tmp_path, name):
    text = "# 고객 질문\n- 비용은요?\n- question: 기간은요?\n  topic: 도입\n- question: 인력은요?\n  topic: 2024\n"
    questions, rejected = await run(bank(tmp_path, name, text))
    assert [(one.origin, one.text, one.topic) for one in questions.values()] == [
        (f"{name}:2", "비용은요?", ""),
        (f"{name}:3", "기간은요?", "도입"),
    ]
    assert rejected[f"{name}:5"].detail == f"{tmp_path / name}:5: topic must be text, found 2024; put it in quotes"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("q.csv", "", "{path} holds no questions.\nAdd one a row, under the header 'question'."),
        ("q.csv", "question\n\n", "{path} holds no questions.\nAdd one a row, under the header 'question'."),
        (
            "q.csv",
            "질문,주제\n비용은요?,도입\n",
            "{path}:1: the first row must name the columns, each once, and one of them 'question'; found '질문', "
            "'주제'.\nWrite it as: question,persona,topic,difficulty (the last three may be left out).",
        ),
        (
            "q.csv",
            'question\n비용은요?\n"기간은요?\n인력은요?\n',
            "{path}:3: the row that begins here is not CSV: unexpected end of data.\nCheck its quotes.",
        ),
        (
            "q.json",
            '{"question": "비용은요?"}',
            "{path}:1: expected '[', found '{{\"question\": \"비용은요?\"'.\n"
            "A question bank in JSON is one list of objects or texts.",
        ),
        (
            "q.json",
            '[\n{"question": "비용은요?"}\n{"question": "기간은요?"}]',
            "{path}:3: expected ',' or ']'.\nA question bank in JSON is one list of objects or texts.",
        ),
        (
            "q.json",
            '[\n"비용은요?",\n기간은요?]',
            "{path}:3: Expecting value.\nA question bank in JSON is one list of objects or texts.",
        ),
        (
            "q.json",
            '["비용은요?"],\n["기간은요?"]',
            "{path}:1: expected the end of the file.\nA question bank in JSON is one list of objects or texts.",
        ),
        ("q.yaml", "- [비용\n", "{path}:2:1  not valid YAML: expected ',' or ']', but got '<stream end>'."),
        (
            "q.yaml",
            "questions:\n- 비용은요?\n",
            "{path}:1: a question bank in YAML is one list of mappings or texts; this is none.",
        ),
    ],
)
async def test_a_file_that_cannot_be_read_stops_the_step(tmp_path, name, text, message):
    generator = bank(tmp_path, name, text)
    with pytest.raises(StepError) as caught:
        await run(generator)
    assert str(caught.value) == message.format(path=tmp_path / name)


async def test_columns_that_are_not_read_are_named_once(tmp_path):
    generator = bank(tmp_path, "q.csv", "question,dificulty,날짜\n비용은요?,expert,1일\n기간은요?,,2일\n")
    await run(generator)
    assert generator.context.warnings == [
        f"{tmp_path / 'q.csv'}: 'dificulty' is not read. Did you mean 'difficulty'?",
        f"{tmp_path / 'q.csv'}: '날짜' is not read.",
    ]


async def test_limit_takes_the_first_rows(tmp_path):
    questions, _ = await run(bank(tmp_path, "q.csv", "question\n하나요?\n둘요?\n셋요?\n", limit=2))
    assert list(questions) == ["q.csv:2", "q.csv:3"]


async def test_id_follows_the_content_and_not_the_place(tmp_path):
    one, _ = await run(bank(tmp_path, "a.csv", "question,topic\n비용은요?,도입\n"))
    other, _ = await run(bank(tmp_path, "b.csv", "topic,question\n\n도입,비용은요?\n운영,기간은요?\n"))
    assert one["a.csv:2"].id == other["b.csv:3"].id
    assert len({question.id for question in other.values()}) == 2


def test_inputs_are_the_files(tmp_path):
    generator = bank(tmp_path, "q.csv", "question\n", personas=True)
    assert list(generator.inputs()) == [tmp_path / "q.csv", tmp_path / "personas.yaml"]


def test_missing_file_is_named(tmp_path):
    generator = QuestionBank(QuestionBank.Options(path=tmp_path / "no.csv"), LocalContext(tmp_path))
    with pytest.raises(RecordError, match=r"missing_file: there is no file '.*no\.csv' \(seen from "):
        generator.inputs()


def test_other_kinds_of_files_are_refused():
    with pytest.raises(ValidationError, match=r"must end in \.csv, \.json, \.yaml, \.yml; found 'q\.xlsx'"):
        QuestionBank.Options(path="q.xlsx")
