"""What a test can learn from a mock server: hints kept or not, a hidden capacity, the day's quota, paid tokens."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest
from mock_openai import MockOpenAI, serving, subprocess_server


async def post(base_url: str, text: str, **settings: Any) -> tuple[int, dict[str, str], Any]:
    """Ask without our own client: this is about the server."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **settings}
    async with aiohttp.request("POST", f"{base_url}/chat/completions", json=body) as reply:
        return reply.status, dict(reply.headers), await reply.json()


async def get(base_url: str, name: str) -> Any:
    async with aiohttp.request("GET", f"{base_url.removesuffix('/v1')}/{name}") as reply:
        return await reply.json()


async def test_each_refused_try_is_told_a_wait_of_the_range_that_stands_in_the_record():
    mock = MockOpenAI(faults={"rate_limit": 1.0}, faults_per_request=1, hint_s=(0.5, 3.0))
    async with serving(mock) as base_url:
        replies = [await post(base_url, f"질문 {number}") for number in range(20)]
        requests = await get(base_url, "requests")
    told = [int(headers["retry-after-ms"]) / 1000 for _, headers, _ in replies]
    assert told == [request["hint_s"] for request in requests]
    assert all(0.5 <= hint <= 3.0 for hint in told) and len(set(told)) == 20
    assert {request["outcome"] for request in requests} == {"rate_limit"}
    assert all(request["came"] < request["told"] for request in requests)


async def test_the_wait_that_is_told_does_not_depend_on_the_order():
    async def hints(numbers: list[int]) -> dict[int, str]:
        found = {}
        mock = MockOpenAI(faults={"rate_limit": 1.0}, hint_s=(0.5, 3.0), seed=3)
        async with serving(mock) as base_url:
            for number in numbers:
                found[number] = (await post(base_url, f"질문 {number}"))[1]["retry-after-ms"]
        return found

    assert await hints([1, 2, 3, 4]) == await hints([3, 1, 4, 2])


async def test_a_request_that_comes_again_before_its_wait_is_over_is_reported_and_a_later_one_is_not():
    mock = MockOpenAI(faults={"rate_limit": 1.0}, faults_per_request=1, hint_s=0.3)
    async with serving(mock) as base_url:
        for text, pause_s in (("급한 질문", 0.0), ("느긋한 질문", 0.31)):
            assert (await post(base_url, text))[0] == 429
            await asyncio.sleep(pause_s)
            assert (await post(base_url, text))[0] == 200
        stats = await get(base_url, "stats")
    ((key, early_s),) = stats["early"]
    assert key == mock.requests[0].hash and 0 < early_s <= 0.3


async def test_beyond_the_capacity_answers_come_later_and_none_is_refused():
    mock = MockOpenAI(latency_s=0.2, capacity=2)
    async with serving(mock) as base_url:
        start = time.monotonic()

        async def seconds(number: int) -> float:
            assert (await post(base_url, f"질문 {number}"))[0] == 200
            return time.monotonic() - start

        waited = sorted(await asyncio.gather(*map(seconds, range(6))))
    assert waited[0] >= 0.2 and waited[2] >= 0.4 and waited[5] >= 0.6  # three rounds of two
    assert mock.stats()["most_in_flight"] > 2
    assert mock.stats()["outcomes"] == {"ok": 6}


async def test_when_the_day_is_used_up_every_further_request_is_told_so_as_openai_words_it():
    async with serving(MockOpenAI(requests_per_day=2)) as base_url:
        replies = [await post(base_url, f"질문 {number}") for number in range(4)]
    assert [status for status, _, _ in replies] == [200, 200, 429, 429]
    assert "requests per day (RPD): Limit 2" in replies[2][2]["error"]["message"]
    assert replies[2][1]["x-ratelimit-reset-requests"] == "24h0m0s"


async def test_beyond_the_minutes_quota_a_request_is_told_when_the_next_may_come_and_counts_to_no_quota():
    mock = MockOpenAI(requests_per_minute=2, requests_per_day=3)
    async with serving(mock) as base_url:
        replies = [await post(base_url, f"질문 {number}") for number in range(4)]
    assert [status for status, _, _ in replies] == [200, 200, 429, 429]
    assert all(58_000 < int(headers["retry-after-ms"]) <= 60_000 for _, headers, _ in replies[2:])
    assert mock.stats()["outcomes"] == {"ok": 2, "rpm": 2}


async def test_an_overloaded_server_turns_away_at_once():
    async with serving(MockOpenAI(faults={"overloaded": 1.0}, latency_s=30)) as base_url:
        status, headers, body = await post(base_url, "질문")
    assert (status, body["error"]["type"]) == (503, "service_unavailable")
    assert "retry-after" not in headers


async def test_cached_and_thought_tokens_are_counted_as_openai_counts_them():
    async with serving(MockOpenAI(cached_share=0.5, thought_tokens=30)) as base_url:
        _, _, full = await post(base_url, "가" * 80)
        _, _, cut = await post(base_url, "가" * 80, max_tokens=35)
        _, _, nothing = await post(base_url, "가" * 80, max_tokens=20)
    assert full["usage"]["prompt_tokens_details"] == {"cached_tokens": 20}
    assert full["usage"]["completion_tokens"] > 30 == full["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert (cut["usage"]["completion_tokens"], len(cut["choices"][0]["message"]["content"])) == (35, 10)
    assert nothing["choices"][0]["finish_reason"] == "length" and nothing["choices"][0]["message"]["content"] == ""
    assert nothing["usage"]["completion_tokens"] == 20


async def test_the_real_openai_client_reads_our_embeddings():
    openai = pytest.importorskip("openai")
    texts = ["입고 검수 절차", "입고 검수 순서", "휴가 신청"]
    async with (
        serving(MockOpenAI()) as base_url,
        openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client,
    ):
        packed = await client.embeddings.create(model="m", input=texts)
        plain = await client.embeddings.create(model="m", input=texts, encoding_format="float", dimensions=64)
    near, far = (
        sum(a * b for a, b in zip(plain.data[0].embedding, plain.data[i].embedding, strict=True)) for i in (1, 2)
    )
    assert [item.embedding for item in packed.data] == [item.embedding for item in plain.data]
    assert len(plain.data[0].embedding) == 64 and near > far
    assert plain.usage.prompt_tokens == sum(map(len, texts)) // 2


async def test_the_settings_can_all_be_given_on_the_command_line(tmp_path):
    log = tmp_path / "calls.jsonl"
    arguments = ["--fault", "rate_limit=1", "--faults-per-request", "1", "--hint", "0.5", "0.7", "--seed", "5"]
    arguments += ["--capacity", "3", "--requests-per-day", "1", "--cached-share", "0.5", "--thought-tokens", "4"]
    arguments += ["--requests-per-minute", "9", "--context-tokens", "20"]
    with subprocess_server(*arguments, "--log", str(log)) as base_url:
        replies = [await post(base_url, "가" * 40) for _ in range(3)]
        requests = await get(base_url, "requests")
        refused = await post(base_url, "가" * 42)
    assert [status for status, _, _ in replies] == [429, 200, 429] and refused[0] == 429
    assert replies[1][2]["usage"]["prompt_tokens_details"] == {"cached_tokens": 10}
    assert [request["outcome"] for request in requests] == ["rate_limit", "ok", "quota"]
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(event["event"], event["try"], event["outcome"]) for event in events[:4]] == [
        ("started", 1, "rate_limit"),
        ("finished", 1, "rate_limit"),
        ("started", 2, "ok"),
        ("finished", 2, "ok"),
    ]
    assert 0.5 <= events[0]["hint_s"] == requests[0]["hint_s"] <= 0.7
