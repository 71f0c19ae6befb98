"""What is sent, and what counts as the same call."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError
from wmsforge_openai.chat_model import OpenAICompatibleModel

from wmsforge.errors import StepError
from wmsforge.steps.chat_model import ChatRequest, Message

SCHEMA = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
REQUEST = ChatRequest(
    messages=(Message(role="system", content="당신은 고객입니다."), Message(role="user", content="질문을 쓰세요.")),
    max_tokens=64,
    temperature=0.7,
)


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[str, list[tuple[str, dict[str, str], Any]]]]:
    """Gives a base_url and the list of (path, headers, body) that were sent to it."""
    sent: list[tuple[str, dict[str, str], Any]] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        sent.append((request.path, dict(request.headers), json.loads(await request.read())))
        return web.json_response({"model": "solar-1", "choices": [{"message": {"content": "네."}}], "usage": None})

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", sent
    await runner.cleanup()


async def body_sent(open_model: Any, request: ChatRequest, **options: Any) -> Any:
    async with recording() as (base_url, sent):
        await (await open_model(base_url, **options)).complete(request)
    return sent[0][2]


def options(**settings: Any) -> OpenAICompatibleModel.Options:
    return OpenAICompatibleModel.Options(**{"base_url": "http://127.0.0.1:8000/v1", "model": "solar", **settings})


async def test_a_plain_request_holds_the_messages_and_the_sampling(open_model):
    async with recording() as (base_url, sent):
        model = await open_model(base_url + "/", api_key="sk-1")
        response = await model.complete(REQUEST)
    path, headers, body = sent[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sk-1" and headers["Content-Type"] == "application/json"
    assert body == {
        "model": "solar",
        "messages": [
            {"role": "system", "content": "당신은 고객입니다."},
            {"role": "user", "content": "질문을 쓰세요."},
        ],
        "max_tokens": 64,
        "temperature": 0.7,
    }
    assert (response.text, response.model, response.finish_reason) == ("네.", "solar-1", "stop")
    age = datetime.now(UTC) - datetime.fromisoformat(response.created_at)
    assert timedelta(0) <= age < timedelta(seconds=5)


async def test_no_key_sends_no_authorization(open_model):
    async with recording() as (base_url, sent):
        await (await open_model(base_url)).complete(REQUEST)
    assert "Authorization" not in sent[0][1]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_limit_that_the_budget_would_not_know_of_is_refused(field):
    with pytest.raises(ValueError, match=f"must not hold {field}"):
        OpenAICompatibleModel.Options(base_url="http://h/v1", model="m", extra_body={field: 4000})


async def test_stop_top_p_and_extra_body_are_sent_and_null_leaves_a_field_out(open_model):
    request = REQUEST.model_copy(update={"stop": ("\n\n",)})
    extra = {"seed": 7, "temperature": None, "chat_template_kwargs": {"enable_thinking": False}}
    settings = {"top_p": 0.9, "extra_body": extra, "max_tokens_field": "max_completion_tokens"}
    body = await body_sent(open_model, request, **settings)
    assert {name: body[name] for name in body if name not in ("model", "messages")} == {
        "max_completion_tokens": 64,
        "stop": ["\n\n"],
        "top_p": 0.9,
        "seed": 7,
        "chat_template_kwargs": {"enable_thinking": False},
    }


async def test_a_schema_goes_to_the_server_or_into_the_prompt(open_model):
    request = REQUEST.model_copy(update={"json_schema": SCHEMA})
    enforced = await body_sent(open_model, request)
    assert enforced["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA},
    }
    assert enforced["messages"][1]["content"] == "질문을 쓰세요."
    told = json.dumps(SCHEMA, separators=(",", ":"))
    for structured, response_format in (("json_object", {"type": "json_object"}), ("none", None)):
        body = await body_sent(open_model, request, structured=structured)
        assert body.get("response_format") == response_format
        assert body["messages"][1]["content"].startswith("질문을 쓰세요.")
        assert body["messages"][1]["content"].endswith(told)


def test_a_server_that_moves_is_the_same_call_and_another_model_revision_or_field_is_not(tmp_path):
    same = options().identity()
    moved = {"base_url": "http://10.0.0.9:9000/v1", "api_key": "sk-1", "concurrency": 64, "timeout_s": 9}
    assert options(**moved).identity() == same
    for change in ({"model": "sonar"}, {"revision": "fp8"}, {"top_p": 0.5}, {"extra_body": {"seed": 1}}):
        assert options(**change).identity() != same


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"base_url": "127.0.0.1:8000"}, "must be an http:// or https:// address"),
        ({"base_url": "http://user:pass@host/v1"}, "without user, query or fragment"),
        ({"base_url": "https://host/v1?key=1"}, "without user, query or fragment"),
        ({"extra_body": {"stream": True, "model": "x"}}, "must not hold model, stream"),
        ({"structured": "yaml"}, "json_schema"),
        ({"limits_per": "day"}, "'key' or 'model'"),
        ({"api_keys": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_asked(settings, words):
    with pytest.raises(ValidationError, match=words):
        options(**settings)


@pytest.mark.parametrize("key", ["", "sk-1\n", "sk 1", "키"])
async def test_a_key_that_cannot_be_sent_stops_at_open_without_being_shown(open_model, key):
    with pytest.raises(StepError) as raised:
        await open_model("http://127.0.0.1:9/v1", api_key=key)
    assert "api_key is empty, or holds a blank" in str(raised.value)
    assert not key or key not in str(raised.value)


async def test_the_proxy_of_the_environment_is_used_unless_no_proxy_names_the_host(open_model, monkeypatch):
    async with recording() as (proxy, sent):
        monkeypatch.setenv("http_proxy", proxy.removesuffix("/v1"))
        monkeypatch.setenv("no_proxy", "")
        await (await open_model("http://model.invalid/v1")).complete(REQUEST)
        assert sent[0][1]["Host"] == "model.invalid"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await (await open_model(proxy)).complete(REQUEST)
    assert sent[1][1]["Host"].startswith("127.0.0.1:")


async def test_a_base_model_is_declared_as_one(open_model):
    assert (await open_model("http://127.0.0.1:9/v1")).instruct is True
    assert (await open_model("http://127.0.0.1:9/v1", instruct=False)).instruct is False


async def test_calls_share_at_most_concurrency_connections_and_the_engine_alone_watches_the_time(open_model):
    model = await open_model("http://127.0.0.1:9/v1", concurrency=3, timeout_s=7)
    assert model._transport._session.connector.limit == 3
    assert model._transport._session.timeout.total is None
    await model.close()
    assert model._transport._session.closed


def test_neither_http_nor_arrays_are_imported_before_something_opens():
    modules = "wmsforge_openai, wmsforge_openai.chat_model, wmsforge_openai.embedder"
    code = f"import sys, {modules}; print([name for name in ('aiohttp', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
