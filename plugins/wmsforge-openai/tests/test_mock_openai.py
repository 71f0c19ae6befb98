"""The mock server as the real model sees it, and as the real `openai` client does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from mock_openai import FAULTS, MockOpenAI, serving, subprocess_server

from wmsforge.errors import RecordError, RetryableError, StepError
from wmsforge.steps.chat_model import ChatRequest, Message

SCHEMA = {
    "type": "object",
    "properties": {"questions": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/Question"}}},
    "$defs": {
        "Question": {
            "type": "object",
            "properties": {"text": {"type": "string"}, "difficulty": {"enum": ["beginner", "expert"]}},
        }
    },
}


QUESTION = "피킹 오류를 줄이려면 어떻게 하나요?"


def ask(text: str = QUESTION, **settings: Any) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), **settings)


async def test_the_same_request_gets_the_same_korean_answer_that_quotes_it(open_model):
    async with serving(MockOpenAI()) as base_url:
        model = await open_model(base_url)
        first, again, other = [await model.complete(ask(text)) for text in ("입고 검수는?", "입고 검수는?", "반품은?")]
    assert again.text == first.text != other.text
    assert "입고 검수는?" in first.text
    assert first.model == "solar"
    assert first.usage.prompt_tokens == len("입고 검수는?") // 2 and first.usage.completion_tokens > 20


async def test_a_schema_gets_an_answer_of_that_schema(open_model):
    async with serving(MockOpenAI()) as base_url:
        response = await (await open_model(base_url)).complete(ask(json_schema=SCHEMA))
    questions = json.loads(response.text)["questions"]
    assert len(questions) == 2 and questions[0]["text"] != questions[1]["text"]
    assert questions[0]["difficulty"] == "beginner"


async def test_a_long_answer_is_cut_at_max_tokens_and_says_so(open_model):
    async with serving(MockOpenAI()) as base_url:
        response = await (await open_model(base_url)).complete(ask(max_tokens=10))
    assert (response.finish_reason, response.usage.completion_tokens) == ("length", 10)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("rate_limit", "rate_limit"),
        ("server_error", "server_error"),
        ("overloaded", "overloaded"),
        ("truncated", "malformed_response"),
        ("empty", "empty"),
    ],
)
async def test_each_fault_is_told_apart_and_passes(open_model, fault, reason):
    mock = MockOpenAI(faults={fault: 1.0}, faults_per_request=1, hint_s=1.5)
    async with serving(mock) as base_url:
        model = await open_model(base_url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(ask())
        served = await model.complete(ask())
    assert raised.value.reason == reason
    assert raised.value.after_s == (1.5 if fault == "rate_limit" else None)
    assert "피킹" in served.text


async def test_a_refusal_is_one_and_was_paid_for(open_model):
    async with serving(MockOpenAI(faults={"refusal": 1.0})) as base_url:
        with pytest.raises(RecordError) as raised:
            await (await open_model(base_url)).complete(ask())
    assert raised.value.reason == "refusal" and raised.value.usage["prompt_tokens"] == len(QUESTION) // 2


async def test_malformed_content_is_a_response_that_no_json_parser_takes(open_model):
    async with serving(MockOpenAI(faults={"malformed": 1.0})) as base_url:
        response = await (await open_model(base_url)).complete(ask())
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text)


async def test_which_requests_meet_a_fault_does_not_depend_on_their_order(open_model):
    async def faulty(texts: list[str]) -> set[str]:
        found = set()
        async with serving(MockOpenAI(faults={"server_error": 0.3}, seed=7)) as base_url:
            model = await open_model(base_url)
            for text in texts:
                try:
                    await model.complete(ask(text))
                except RetryableError:
                    found.add(text)
        return found

    texts = [f"질문 {number}" for number in range(40)]
    found = await faulty(texts)
    assert found == await faulty(texts[::-1])
    assert 4 <= len(found) <= 20


async def test_the_mock_refuses_a_wrong_key_an_unknown_model_and_a_long_prompt(open_model):
    mock = MockOpenAI(key="sk-right", models=("solar",), context_tokens=15)
    async with serving(mock) as base_url:
        with pytest.raises(StepError, match="refuses the key"):
            await (await open_model(base_url, api_key="sk-wrong")).complete(ask())
        with pytest.raises(StepError, match="no such model"):
            await (await open_model(base_url, api_key="sk-right", model="sonar")).complete(ask())
        with pytest.raises(RecordError, match="prompt_too_long"):
            await (await open_model(base_url, api_key="sk-right")).complete(ask("긴 질문 " * 10))
        assert (await (await open_model(base_url, api_key="sk-right")).complete(ask())).text


async def test_stats_count_what_started_finished_and_was_asked_again(open_model):
    mock = MockOpenAI(faults={"rate_limit": 1.0}, faults_per_request=1)
    async with serving(mock) as base_url:
        model = await open_model(base_url)
        for text in ("하나", "하나", "하나", "둘"):
            try:
                await model.complete(ask(text))
            except RetryableError as error:
                assert error.reason == "rate_limit"
        async with aiohttp.request("GET", base_url.removesuffix("v1") + "stats") as reply:
            stats = await reply.json()
    counts = {name: stats[name] for name in ("started", "finished", "abandoned", "in_flight", "unique", "faults")}
    assert counts == {"started": 4, "finished": 4, "abandoned": 0, "in_flight": 0, "unique": 2, "faults": 2}
    assert stats["outcomes"] == {"rate_limit": 2, "ok": 2}
    assert list(stats["repeated"].values()) == [2]  # asked three times, of which the first was refused


def test_a_client_killed_in_flight_is_logged_as_abandoned(tmp_path):
    log = tmp_path / "calls.jsonl"
    client = (
        "import asyncio, sys; from pathlib import Path\n"
        "from wmsforge.testing import LocalContext; from wmsforge.steps.chat_model import ChatRequest, Message\n"
        "from wmsforge_openai.chat_model import OpenAICompatibleModel as Model\n"
        "async def main():\n"
        "    model = Model(Model.Options(base_url=sys.argv[1], model='m'), LocalContext(Path()))\n"
        "    await model.open()\n"
        "    await model.complete(ChatRequest(messages=(Message(role='user', content='안녕'),)))\n"
        "asyncio.run(main())\n"
    )
    with subprocess_server("--latency", "30", "--log", str(log)) as base_url:
        process = subprocess.Popen([sys.executable, "-c", client, base_url])
        until(lambda: "started" in log.read_text())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        until(lambda: "abandoned" in log.read_text())
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [event["event"] for event in events] == ["started", "abandoned"]
    assert events[0]["hash"] == events[1]["hash"] and events[0]["time"] < events[1]["time"]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited 20 s in vain"
        time.sleep(0.05)


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match=f"known: {', '.join(FAULTS)}"):
        MockOpenAI(faults={"rate-limit": 1.0})


async def test_the_real_openai_client_talks_to_the_mock_and_gets_the_same_answer(open_model):
    openai = pytest.importorskip("openai")
    request = ask()
    async with serving(MockOpenAI(key="sk-right", models=("solar",))) as base_url:
        ours = await (await open_model(base_url, api_key="sk-right")).complete(request)
        async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-right", max_retries=0) as client:
            messages = [message.model_dump() for message in request.messages]
            theirs = await client.chat.completions.create(model="solar", messages=messages, max_tokens=500)
            names = [model.id async for model in client.models.list()]
            with pytest.raises(openai.NotFoundError) as missing:
                await client.chat.completions.create(model="sonar", messages=messages)
        async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-wrong", max_retries=0) as client:
            with pytest.raises(openai.AuthenticationError) as refused:
                await client.models.list()
    assert theirs.choices[0].message.content == ours.text
    assert theirs.choices[0].finish_reason == ours.finish_reason == "stop"
    assert theirs.usage.prompt_tokens == ours.usage.prompt_tokens
    assert names == ["solar"]
    assert (missing.value.code, refused.value.code) == ("model_not_found", "invalid_api_key")


async def test_the_real_openai_client_sees_a_rate_limit_as_one():
    openai = pytest.importorskip("openai")
    async with (
        serving(MockOpenAI(faults={"rate_limit": 1.0}, hint_s=3)) as base_url,
        openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client,
    ):
        with pytest.raises(openai.RateLimitError) as raised:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "안녕"}])
    assert raised.value.response.headers["retry-after"] == "3"
    assert raised.value.code == "rate_limit_exceeded"
