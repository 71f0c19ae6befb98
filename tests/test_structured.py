"""Structured answers: strict, repaired, or asked for again."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from wmsforge.errors import RecordError
from wmsforge.steps.chat_model import ChatRequest, ChatResponse, Message
from wmsforge.structured import ask, parse


class Pair(BaseModel):
    model_config = ConfigDict(extra="forbid")

    q: str
    n: int


class Pairs(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pairs: list[Pair]


TWO = Pairs(pairs=[Pair(q="가 {나}, [다]", n=1), Pair(q='따"옴표', n=2)])
JSON = TWO.model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        f"\n {JSON} \n",
        f"```json\n{JSON}\n```",
        f"```\n{JSON}\n```\n도움이 되었기를 바랍니다.",
        f"네, [질문]을 {{드리겠습니다}}:\n{JSON}",
        f"<think>배열은 [1, 2, 이다</think>{JSON}",
        JSON.replace("}]}", "},\n ]\n, }"),
        JSON.replace("},{", "}  ,{").replace(":1}", ":1,}"),
        JSON.removesuffix("]}"),
        JSON.removesuffix("}"),
    ],
)
def test_plain_faults_are_repaired(text):
    assert parse(text, Pairs) == TWO


def test_line_ends_inside_texts_are_kept():
    assert parse('{"q": "첫 줄\n둘째 줄\t끝", "n": 1}', Pair) == Pair(q="첫 줄\n둘째 줄\t끝", n=1)


@given(st.lists(st.builds(Pair, q=st.text(st.characters(codec="utf-8")), n=st.integers(0, 99)), max_size=4), st.data())
def test_a_cut_off_answer_keeps_its_whole_elements(pairs, data):
    text = Pairs(pairs=pairs).model_dump_json()
    length = data.draw(st.integers(0, len(text)))
    ends = [
        len('{"pairs":[' + ",".join(pair.model_dump_json() for pair in pairs[:n])) for n in range(1, len(pairs) + 1)
    ]
    whole = sum(end <= length for end in ends)
    if length == len(text) or whole:
        assert parse(text[:length], Pairs).pairs == pairs[:whole]
    else:
        with pytest.raises(ValueError, match=r"Invalid JSON|empty|should be an object"):
            parse(text[:length], Pairs)


def test_an_element_cut_off_inside_its_own_list_is_not_kept():
    class Tagged(BaseModel):
        items: list[dict[str, list[str]]]

    text = '{"items": [{"tags": ["a", "b"]}, {"tags": ["c", "d'
    assert parse(text, Tagged).items == [{"tags": ["a", "b"]}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the answer is empty"),
        ("   \n", "the answer is empty"),
        ("모르겠습니다.", "Invalid JSON: expected value at line 1 column 1"),
        ('{"pairs": [', "Invalid JSON: EOF while parsing a list at line 1 column 11"),
        ('{"pairs": [}]', "Invalid JSON: expected value at line 1 column 12"),
        ('```\n{"pairs": [{"q": "가"}]}\n```', "pairs.0.n: Field required"),
        ('{"pairs": [{"q": "가", "n": "1"}]}', "pairs.0.n: Input should be a valid integer"),
        ('{"pairs": [], "note": 1}', "note: Extra inputs are not permitted"),
        ('{"pairs": [{"q": "\\ud83d", "n": 1}]}', "Invalid JSON: unexpected end of hex escape at line 1 column 25"),
    ],
)
def test_other_faults_are_named(text, message):
    with pytest.raises(ValueError) as caught:
        parse(text, Pairs)
    assert str(caught.value) == message


@given(st.text(st.sampled_from('{}[]",:\\ \n1가')))
def test_no_text_breaks_the_parser(text):
    with contextlib.suppress(ValueError):
        parse(text, Pairs)


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 20_000, '{"a":' * 20_000, '["' * 20_000])
def test_a_loop_of_brackets_costs_little(text):
    start = time.perf_counter()
    with pytest.raises(ValueError):
        parse(text, Pairs)
    assert time.perf_counter() - start < 10


class ScriptedChat:
    """Answers in turn with the texts of a script; notes the requests."""

    name = "test (scripted)"
    instruct = True

    def __init__(self, *script: str | ChatResponse) -> None:
        self.script = list(script)
        self.samples: list[int] = []

    async def complete(self, request: ChatRequest) -> ChatResponse:
        self.samples.append(request.sample)
        said = self.script.pop(0)
        return said if isinstance(said, ChatResponse) else ChatResponse(text=said)


REQUEST = ChatRequest(messages=(Message(role="user", content="?"),), sample=4, max_tokens=20)


async def test_unreadable_answers_are_asked_for_again_with_the_next_sample():
    chat = ScriptedChat("아니요", "", json.dumps({"q": "가", "n": 1}))
    answer = await ask(chat, REQUEST, Pair, max_rounds=3)
    assert (answer.value, answer.sample, chat.samples) == (Pair(q="가", n=1), 6, [4, 5, 6])


async def test_the_last_unreadable_answer_goes_with_the_error():
    chat = ScriptedChat("아니요", ChatResponse(text='{"q": "가', finish_reason="length"))
    with pytest.raises(RecordError) as caught:
        await ask(chat, REQUEST, Pair, max_rounds=2)
    assert caught.value.reason == "truncated"
    assert caught.value.detail == (
        "2 answers of test (scripted) did not hold the JSON asked for (the last: cut off at max_tokens (20); "
        "Invalid JSON: EOF while parsing a string at line 1 column 10)"
    )
    assert caught.value.raw == '{"q": "가'


async def test_a_refusal_is_not_asked_again():
    chat = ScriptedChat(ChatResponse(text="할 수 없습니다", finish_reason="refusal"))
    with pytest.raises(RecordError) as caught:
        await ask(chat, REQUEST, Pair, max_rounds=3)
    assert (caught.value.reason, caught.value.raw, chat.samples) == ("refusal", "할 수 없습니다", [4])
