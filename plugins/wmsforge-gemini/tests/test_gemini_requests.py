"""What is sent, what counts as the same call, what it costs, and what opening a model says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
from aiohttp import web
from mock_gemini import MockGemini, serving
from pydantic import ValidationError
from wmsforge_gemini.chat_model import GeminiModel
from wmsforge_gemini.retired import retired, table

from wmsforge.errors import StepError
from wmsforge.prices import Price, price_of
from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.testing import LocalContext

KEY = "AIza-secret-3f9a"  # what open_model gives unless told otherwise
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
REQUEST = ChatRequest(
    messages=(
        Message(role="system", content="당신은 고객입니다."),
        Message(role="user", content="예를 드세요."),
        Message(role="assistant", content="입고란?"),
        Message(role="user", content="질문을 쓰세요."),
    ),
    max_tokens=64,
    temperature=0.7,
)


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[str, list[tuple[str, dict[str, str], Any]]]]:
    """Gives a base_url and the list of (path, headers, body) that were sent to it."""
    sent: list[tuple[str, dict[str, str], Any]] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        sent.append((request.path, dict(request.headers), json.loads(await request.read())))
        parts = {"content": {"parts": [{"text": "네."}]}, "finishReason": "STOP"}
        return web.json_response({"candidates": [parts], "modelVersion": "gemini-3.8-flash-001"})

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", sent
    await runner.cleanup()


def options(**settings: Any) -> GeminiModel.Options:
    return GeminiModel.Options(**{"model": "gemini-3.8-flash", "api_key": KEY, **settings})


def model(**settings: Any) -> GeminiModel:
    return GeminiModel(options(**settings), LocalContext(None, step="customer"))


async def test_a_plain_request_holds_turns_system_and_sampling(open_model):
    async with recording() as (url, sent):
        response = await (await open_model(url + "/")).complete(REQUEST)
    path, headers, body = sent[0]
    assert path == "/v1beta/models/gemini-3.8-flash:generateContent"
    assert headers["x-goog-api-key"] == KEY and "Authorization" not in headers
    system = body.pop("systemInstruction")
    assert system["parts"] == [{"text": "당신은 고객입니다."}]
    assert body == {
        "contents": [
            {"role": "user", "parts": [{"text": "예를 드세요."}]},
            {"role": "model", "parts": [{"text": "입고란?"}]},
            {"role": "user", "parts": [{"text": "질문을 쓰세요."}]},
        ],
        "generationConfig": {"temperature": 0.7, "maxOutputTokens": 64},
    }
    assert (response.text, response.model, response.finish_reason) == ("네.", "gemini-3.8-flash-001", "stop")


async def test_schema_stop_thinking_safety_and_tier_are_sent_as_google_names_them(open_model):
    request = REQUEST.model_copy(update={"json_schema": SCHEMA, "stop": ("\n\n",)})
    settings = {"thinking_level": "low", "service_tier": "flex", "top_p": 0.9, "safety": "only_high"}
    async with recording() as (url, sent):
        await (await open_model(url, **settings)).complete(request)
    body = sent[0][2]
    # The SDK (3.4.0) writes the proto's own name here, which Google's JSON reader takes like thinkingLevel.
    assert body["generationConfig"].pop("thinkingConfig") == {"thinking_level": "LOW"}
    assert body["generationConfig"] == {
        "temperature": 0.7,
        "maxOutputTokens": 64,
        "topP": 0.9,
        "stopSequences": ["\n\n"],
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert body["serviceTier"] == "flex"
    assert len(body["safetySettings"]) == 4
    assert {setting["threshold"] for setting in body["safetySettings"]} == {"BLOCK_ONLY_HIGH"}


async def test_googles_own_variables_do_not_send_the_key_elsewhere(open_model, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://elsewhere.invalid")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_API_KEY", "another")
    async with recording() as (url, sent):
        await (await open_model(url)).complete(REQUEST)
    assert sent[0][1]["x-goog-api-key"] == KEY


async def test_the_proxy_of_the_environment_is_used_unless_no_proxy_names_the_host(open_model, monkeypatch):
    async with recording() as (proxy, sent):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        await (await open_model("http://model.invalid")).complete(REQUEST)
        assert sent[0][1]["Host"] == "model.invalid"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await (await open_model(proxy)).complete(REQUEST)
    assert sent[1][1]["Host"].startswith("127.0.0.1:")


async def test_many_calls_spread_over_small_pools_and_few_stay_in_one(open_model):
    async with serving(MockGemini(latency_s=0.1)) as url:
        model = await open_model(url, concurrency=40)
        for number in range(3):
            await model.complete(numbered(number))
        pools = [pool._pool.connections for pool in model._client._http._transport._pools]
        assert [len(pool) for pool in pools] == [1, 0, 0]
        await asyncio.gather(*(model.complete(numbered(number)) for number in range(40)))
        pools = [pool._pool.connections for pool in model._client._http._transport._pools]
        assert sorted(map(len, pools)) == [13, 13, 14]


def numbered(number: int) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=f"{number}번째 질문"),))


def test_a_faster_or_cheaper_way_is_the_same_call_and_another_model_or_thinking_is_not():
    same = options().identity()
    other_way = {"base_url": "http://127.0.0.1:9", "api_key": "other", "service_tier": "flex", "concurrency": 64}
    assert options(**other_way).identity() == same
    assert options(batch=True).identity() == same
    for change in ({"model": "gemini-3.5-flash-lite"}, {"thinking_level": "low"}, {"top_p": 0.5}, {"safety": "off"}):
        assert options(**change).identity() != same


def test_flex_and_batch_cost_half_and_wait_longer():
    listed = price_of("gemini-3.8-flash")
    assert model().price() == listed and model().options.timeout_s == 120
    for settings in ({"service_tier": "flex"}, {"batch": True}, {"batch": True, "service_tier": "flex"}):
        assert model(**settings).price() == listed.scaled(0.5)
        assert model(**settings).options.timeout_s >= 1200
        assert model(**settings, timeout_s=7).options.timeout_s == 7
    assert model(model="gemini-unheard-of", service_tier="flex").price() is None
    own = {"input": 1, "output": 2}
    assert model(price=own, service_tier="flex").price() == Price(**own)


def test_models_with_the_same_key_and_name_share_a_quota_and_the_key_is_not_in_it():
    assert model().quota() == model(thinking_level="low", service_tier="flex").quota()
    others = [model(api_key="other"), model(model="gemini-3.5-flash-lite"), model(batch=True)]
    assert len({each.quota() for each in [model(), *others]}) == 4
    assert KEY not in model().quota()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": "127.0.0.1:8000"}, "must be an http:// or https:// address"),
        ({"base_url": "http://user:pass@host"}, "without user, query or fragment"),
        ({"base_url": "https://host/v1beta"}, "must not hold the API's version"),
        ({"thinking_level": "some"}, "'minimal', 'low'"),
        ({"service_tier": "priority"}, "'standard' or 'flex'"),
        ({"model": ""}, "at least 1 character"),
        ({"api_keys": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_asked(settings, words):
    with pytest.raises(ValidationError, match=words) as raised:
        options(**settings)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("key", ["", "key\n", "a key", "키"])
async def test_a_key_that_cannot_be_sent_stops_at_open_without_being_shown(open_model, key):
    with pytest.raises(StepError) as raised:
        await open_model("http://127.0.0.1:9", api_key=key)
    assert "api_key is empty, or holds a blank" in str(raised.value)
    assert not key or key not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gemini-1.5-flash", "Google has shut gemini-1.5-flash down. Set model: gemini-3.5-flash-lite"),
        ("models/gemini-1.5-pro-latest", "Set model: gemini-3.8-flash"),
        ("gemini-2.0-flash-001", "on 2026-06-01. Set model: gemini-3.5-flash-lite"),
        ("gemini-3.8-flash", None),
        ("gemini-2.5-flash-lite", None),
    ],
)
async def test_opening_a_model_that_is_gone_warns_with_its_replacement(open_model, name, words):
    warnings = (await open_model("http://127.0.0.1:9", model=name)).context.warnings
    assert len(warnings) == (words is not None)
    assert words is None or words in warnings[0]


def test_a_model_that_goes_soon_is_told_with_its_day():
    entry = retired("gemini-2.5-flash")
    before, after = (entry.warning("gemini-2.5-flash", date(2026, 12, day)) for day in (1, 2))
    assert "has shut gemini-2.5-flash down on 2026-12-01" in before and before == after
    assert "shuts gemini-2.5-flash down on 2026-12-01" in entry.warning("gemini-2.5-flash", date(2026, 11, 25))


def test_no_replacement_is_itself_retired_and_each_has_a_price():
    for entry in table().models:
        assert retired(entry.use) is None
        assert price_of(entry.use) is not None


def test_the_sdk_is_not_imported_before_a_model_opens():
    import subprocess
    import sys

    code = (
        "import sys, wmsforge_gemini, wmsforge_gemini.chat_model, wmsforge_gemini.personas\n"
        "print([name for name in ('google.genai', 'httpx2', 'asyncio', 'aiohttp') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
