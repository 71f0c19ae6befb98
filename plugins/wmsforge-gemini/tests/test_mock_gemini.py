"""The mock of Google's API as the real model sees it, and as Google's own client reads it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import aiohttp
import httpx2
import pytest
from google import genai
from google.genai import errors, types
from mock_gemini import FAULTS, MockGemini, serving, subprocess_server

from wmsforge.errors import ParkedError, RecordError, RetryableError
from wmsforge.steps.chat_model import ChatRequest, Message

SCHEMA = {
    "type": "object",
    "properties": {
        "questions": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "properties": {"question": {"type": "string"}, "difficulty": {"enum": ["beginner", "expert"]}},
            },
        }
    },
}


def ask(text: str = "피킹 오류를 줄이려면 어떻게 하나요?", **settings: object) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), **settings)


def google(base_url: str, key: str = "any") -> genai.Client:
    http = httpx2.AsyncClient(timeout=10)
    options = types.HttpOptions(base_url=base_url, api_version="v1beta", httpx_async_client=http)
    return genai.Client(api_key=key, http_options=options)


async def test_the_same_request_gets_the_same_answer_and_every_other_another_question(open_model):
    async with serving(MockGemini()) as url:
        model = await open_model(url)
        texts = ("입고 검수는?", "입고 검수는?", "반품은?")
        first, again, other = [await model.complete(ask(text, json_schema=SCHEMA)) for text in texts]
    assert again.text == first.text != other.text
    asked = [each["question"] for text in (first.text, other.text) for each in json.loads(text)["questions"]]
    assert len(set(asked)) == 4 and all(question.endswith("?") for question in asked)


async def test_thoughts_count_to_the_limit_and_cached_tokens_to_the_prompt(open_model):
    async with serving(MockGemini(thought_tokens=30, cached_share=0.5)) as url:
        model = await open_model(url)
        whole = await model.complete(ask())
        cut = await model.complete(ask(max_tokens=40))
        with pytest.raises(RecordError, match="truncated"):
            await model.complete(ask(max_tokens=30))
    assert (whole.finish_reason, whole.usage.thought_tokens) == ("stop", 30)
    assert whole.usage.cached_tokens == whole.usage.prompt_tokens // 2
    assert (cut.finish_reason, cut.usage.completion_tokens) == ("length", 10)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("rate_limit", "rate_limit"),
        ("server_error", "server_error"),
        ("overloaded", "overloaded"),
        ("deadline", "server_error"),
        ("hang", "timeout"),
        ("slow", "timeout"),
        ("truncated", "malformed_response"),
        ("broken", "malformed_response"),
        ("no_candidates", "empty"),
        ("empty", "empty"),
        ("safety", "refusal"),
        ("blocked", "refusal"),
        ("recitation", "refusal"),
        ("max_tokens", "truncated"),
    ],
)
async def test_each_fault_is_told_apart_and_passes(open_model, fault, reason):
    mock = MockGemini(faults={fault: 1.0}, faults_per_request=1, hint_s=(1.5, 1.5))
    async with serving(mock) as url:
        model = await open_model(url, timeout_s=0.5)
        with pytest.raises((RetryableError, RecordError)) as raised:
            await model.complete(ask())
        assert raised.value.reason == reason
        assert getattr(raised.value, "after_s", None) == (1.5 if fault == "rate_limit" else None)
        assert "피킹" in (await model.complete(ask())).text


async def test_a_malformed_answer_is_cut_off_json_and_says_it_is_finished(open_model):
    async with serving(MockGemini(faults={"malformed": 1.0})) as url:
        response = await (await open_model(url)).complete(ask(json_schema=SCHEMA))
    assert response.finish_reason == "stop" and response.text.startswith("{")
    with pytest.raises(json.JSONDecodeError):
        json.loads(response.text)


def test_every_fault_has_a_test_above():
    tested = test_each_fault_is_told_apart_and_passes.pytestmark[0].args[1]
    assert {fault for fault, _ in tested} | {"malformed"} == set(FAULTS)


async def test_faults_and_hints_depend_on_the_request_and_not_on_the_order(open_model):
    async def hints(texts: list[str]) -> dict[str, float]:
        found = {}
        async with serving(MockGemini(faults={"rate_limit": 0.3}, seed=7)) as url:
            model = await open_model(url)
            for text in texts:
                try:
                    await model.complete(ask(text))
                except RetryableError as error:
                    found[text] = error.after_s
        return found

    texts = [f"질문 {number}" for number in range(40)]
    found = await hints(texts)
    assert found == await hints(texts[::-1])
    assert 4 <= len(found) <= 20
    assert len(set(found.values())) == len(found) and all(0.5 <= hint <= 3 for hint in found.values())


async def test_a_retry_before_its_hint_is_noted_with_how_early_it_came(open_model, tmp_path):
    mock = MockGemini(faults={"rate_limit": 1.0}, faults_per_request=1, hint_s=(0.3, 0.3), log=tmp_path / "log")
    async with serving(mock) as url:
        model = await open_model(url)
        for text, pause_s in (("이르다", 0.0), ("늦다", 0.35)):
            with pytest.raises(RetryableError):
                await model.complete(ask(text))
            await asyncio.sleep(pause_s)
            await model.complete(ask(text))
        async with aiohttp.request("GET", f"{url}/stats") as reply:
            stats = await reply.json()
    ((key, seconds),) = stats["early"]
    assert 0 < seconds <= 0.3
    events = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [event["event"] for event in events] == ["started", "finished"] * 4
    assert events[0]["hash"] == key
    assert (events[1]["outcome"], events[1]["hint_s"], events[3]["outcome"]) == ("rate_limit", 0.3, "ok")
    assert stats["outcomes"] == {"rate_limit": 2, "ok": 2} and stats["repeated"] == {}


async def test_the_minutes_quota_says_when_the_next_request_may_come(open_model):
    async with serving(MockGemini(requests_per_minute=2)) as url:
        model = await open_model(url)
        await model.complete(ask("하나"))
        await model.complete(ask("둘"))
        with pytest.raises(RetryableError) as raised:
            await model.complete(ask("셋"))
    assert raised.value.reason == "rate_limit" and 58 < raised.value.after_s <= 60
    assert "GenerateRequestsPerMinutePerProjectPerModel" in raised.value.raw


async def test_when_the_day_is_used_up_every_further_request_is_told_so(open_model):
    async with serving(MockGemini(requests_per_day=1)) as url:
        model = await open_model(url)
        await model.complete(ask("하나"))
        for text in ("둘", "셋"):
            with pytest.raises(ParkedError, match="GenerateRequestsPerDayPerProjectPerModel"):
                await model.complete(ask(text))


async def test_beyond_the_capacity_answers_come_later_and_none_is_refused(open_model):
    mock = MockGemini(latency_s=0.2, capacity=2)
    async with serving(mock) as url:
        model = await open_model(url)
        start = time.monotonic()

        async def seconds(number: int) -> float:
            await model.complete(ask(f"질문 {number}"))
            return time.monotonic() - start

        waited = sorted(await asyncio.gather(*map(seconds, range(6))))
    assert waited[0] >= 0.2 and waited[2] >= 0.4 and waited[5] >= 0.6  # three rounds of two
    assert mock.stats()["most_in_flight"] > 2 and mock.stats()["outcomes"] == {"ok": 6}


async def test_requests_of_a_batch_job_are_counted_and_use_up_no_quota():
    mock = MockGemini(requests_per_day=1)
    async with serving(mock) as url:
        batches = google(url).aio.batches
        source = [types.InlinedRequest(contents=f"질문 {number}") for number in range(3)]
        job = await batches.create(model="m", src=source, config={"display_name": "one"})
        assert (await batches.get(name=job.name)).state == types.JobState.JOB_STATE_SUCCEEDED
    stats = mock.stats()
    assert (stats["started"], stats["finished"], stats["served"], stats["jobs"]) == (3, 3, 3, ["one"])


async def test_the_settings_can_be_given_on_the_command_line(open_model):
    arguments = ["--fault", "rate_limit=1", "--faults-per-request", "1", "--hint", "0.5", "0.7", "--capacity", "3"]
    arguments += ["--cached-share", "0.5", "--thought-tokens", "4", "--model", "gemini-3.8-flash"]
    with subprocess_server(*arguments, "--batch", "9", "--batch-fault", "failed", "--no-batch-metadata") as url:
        model = await open_model(url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(ask())
        usage = (await model.complete(ask())).usage
    assert 0.5 <= raised.value.after_s <= 0.7
    assert (usage.thought_tokens, usage.cached_tokens) == (4, usage.prompt_tokens // 2)


async def test_without_an_option_the_waits_are_those_of_a_real_server(open_model):
    with subprocess_server("--fault", "rate_limit=1") as url:
        model = await open_model(url)
        hints = []
        for number in range(8):
            with pytest.raises(RetryableError) as raised:
                await model.complete(ask(f"질문 {number}"))
            hints.append(raised.value.after_s)
    assert 0.5 <= min(hints) < max(hints) <= 3


async def test_googles_client_reads_answers_and_refusals_as_googles():
    async with serving(MockGemini(thought_tokens=5, models=("m",))) as url:
        client = google(url)
        response = await client.aio.models.generate_content(model="m", contents="안녕")
        with pytest.raises(errors.ClientError) as missing:
            await client.aio.models.generate_content(model="n", contents="안녕")
    assert response.text and response.candidates[0].finish_reason == types.FinishReason.STOP
    assert response.usage_metadata.thoughts_token_count == 5
    assert (response.model_version, missing.value.code, missing.value.status) == ("m", 404, "NOT_FOUND")
    async with serving(MockGemini(faults={"blocked": 1.0}, key="right")) as url:
        blocked = await google(url, "right").aio.models.generate_content(model="m", contents="안녕")
        with pytest.raises(errors.ClientError, match="API key not valid"):
            await google(url, "wrong").aio.models.generate_content(model="m", contents="안녕")
    assert blocked.prompt_feedback.block_reason == types.BlockedReason.SAFETY
    async with serving(MockGemini(faults={"rate_limit": 1.0})) as url:
        with pytest.raises(errors.ClientError) as limited:
            await google(url).aio.models.generate_content(model="m", contents="안녕")
    kinds = [detail["@type"].rpartition(".")[2] for detail in limited.value.details["error"]["details"]]
    assert (limited.value.status, kinds) == ("RESOURCE_EXHAUSTED", ["QuotaFailure", "Help", "RetryInfo"])


async def test_googles_client_reads_a_schema_of_its_own_kind():
    wanted = types.Schema(
        type="OBJECT", properties={"questions": {"type": "ARRAY", "min_items": 3, "items": {"type": "STRING"}}}
    )
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=wanted)
    async with serving(MockGemini()) as url:
        response = await google(url).aio.models.generate_content(model="m", contents="안녕", config=config)
    assert len(json.loads(response.text)["questions"]) == 3


async def test_googles_client_makes_lists_cancels_and_deletes_batch_jobs():
    mock = MockGemini(batch_s=0.2)
    async with serving(mock) as url:
        batches = google(url).aio.batches
        source = [types.InlinedRequest(contents=f"질문 {number}", metadata={"key": f"{number}"}) for number in range(3)]
        made = [await batches.create(model="m", src=source, config={"display_name": f"{n}"}) for n in range(3)]
        assert made[0].state == types.JobState.JOB_STATE_PENDING
        await batches.cancel(name=made[1].name)
        await batches.delete(name=made[2].name)
        await asyncio.sleep(0.25)
        listed = {job.display_name: job.state.name async for job in await batches.list()}
        done = await batches.get(name=made[0].name)
    assert listed == {"0": "JOB_STATE_SUCCEEDED", "1": "JOB_STATE_CANCELLED"}
    assert [result.metadata["key"] for result in done.dest.inlined_responses] == ["0", "1", "2"]
    assert all("질문" in result.response.candidates[0].content.parts[0].text for result in done.dest.inlined_responses)


def test_a_client_killed_in_flight_is_logged_as_abandoned(tmp_path):
    log = tmp_path / "calls.jsonl"
    client = (
        "import asyncio, sys; from pathlib import Path\n"
        "from wmsforge.testing import LocalContext; from wmsforge.steps.chat_model import ChatRequest, Message\n"
        "from wmsforge_gemini.chat_model import GeminiModel as Model\n"
        "async def main():\n"
        "    model = Model(Model.Options(base_url=sys.argv[1], model='m', api_key='k'), LocalContext(Path()))\n"
        "    await model.open()\n"
        "    await model.complete(ChatRequest(messages=(Message(role='user', content='안녕'),)))\n"
        "asyncio.run(main())\n"
    )
    with subprocess_server("--log", str(log), "--fault", "hang=1") as url:
        process = subprocess.Popen([sys.executable, "-c", client, url])
        until(lambda: "started" in log.read_text())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        until(lambda: "abandoned" in log.read_text())
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(event["event"], event["outcome"]) for event in events] == [("started", "hang"), ("abandoned", "hang")]
    assert {"hash", "time", "hint_s"} < set(events[1]) and events[0]["hash"] == events[1]["hash"]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited 30 s in vain"
        time.sleep(0.05)


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match=f"known: {', '.join(FAULTS)}"):
        MockGemini(faults={"rate-limit": 1.0})
