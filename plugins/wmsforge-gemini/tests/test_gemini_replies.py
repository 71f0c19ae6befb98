"""What each reply of Google becomes: a response, or the error with the right consequence and reason."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from mock_gemini import MockGemini, serving
from mock_gemini_bodies import error, quota_error, too_long, unknown_model, wrong_key
from wmsforge_gemini.failures import next_reset

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError
from wmsforge.steps.chat_model import ChatRequest, Message

KEY = "AIza-secret-3f9a"  # what open_model gives unless told otherwise
REQUEST = ChatRequest(messages=(Message(role="user", content="피킹이란?"),))
COUNTED = {"promptTokenCount": 9, "thoughtsTokenCount": 40, "totalTokenCount": 49}
NOTHING = {"prompt_tokens": 9, "cached_tokens": 0, "completion_tokens": 0, "thought_tokens": 40}


@asynccontextmanager
async def replying(status: int, body: Any, headers: dict[str, str] | None = None) -> AsyncIterator[str]:
    """Answer every request with this reply; gives the base_url. A body that is no text is sent as JSON."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body), headers=headers)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def candidate(finish: str | None, text: str | None, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]} if text is not None else {"role": "model"}
    return {"candidates": [{"content": content, "finishReason": finish, **more}], "usageMetadata": COUNTED}


HARM = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH"}]
ECHO = error(403, f"Requests with the key {KEY} are blocked.", "PERMISSION_DENIED")
REPLIES: list[tuple[int, Any, type[Exception], str]] = [
    (400, wrong_key(), AuthenticationError, "refuses the key (400): API key not valid"),
    (401, error(401, "no", "UNAUTHENTICATED"), AuthenticationError, "refuses the key (401): no"),
    (403, ECHO, AuthenticationError, "refuses the key (403): Requests with the key [api_key] are blocked."),
    (404, unknown_model("gemini-9", "generateContent"), StepError, "no such model (404): models/gemini-9 is not found"),
    (404, "<html>nginx</html>", StepError, "Correct base_url, or leave it out"),
    (302, "", StepError, "Correct base_url"),
    (429, quota_error("m", 2.5, "Minute"), RetryableError, "rate_limit: "),
    (429, error(429, "Resource has been exhausted (e.g. check quota).", "X"), RetryableError, "rate_limit: "),
    (429, quota_error("m", 40, "Day"), ParkedError, "the day's quota of 20 is used up (GenerateRequestsPerDay"),
    (429, error(429, "Your project has exceeded its spending cap.", "X"), ParkedError, "Add credit or raise the cap"),
    (500, error(500, "internal", "INTERNAL"), RetryableError, "server_error: "),
    (502, "<html>Bad gateway</html>", RetryableError, "server_error: "),
    (503, error(503, "The model is overloaded.", "UNAVAILABLE"), RetryableError, "overloaded: "),
    (504, error(504, "Deadline expired", "DEADLINE_EXCEEDED"), RetryableError, "server_error: "),
    (400, too_long(9, 8), RecordError, "prompt_too_long: "),
    (400, error(400, "Request payload size exceeds the limit: 20971520 bytes.", "X"), RecordError, "prompt_too_long: "),
    (400, error(400, "User location is not supported for the API use.", "X"), StepError, "does not serve this place"),
    (400, error(400, "Thinking level MINIMAL is not supported.", "X"), StepError, "Correct the model's options"),
    (400, error(400, "contents is not specified", "INVALID_ARGUMENT"), RecordError, "bad_request: "),
    (200, "{'candidates'", RetryableError, "malformed_response: "),
    (200, "", RetryableError, "malformed_response: "),
    (200, [], RetryableError, "malformed_response: "),
    (200, {"candidates": [{"content": "text"}]}, RetryableError, "malformed_response: "),
    (200, {"candidates": [], "usageMetadata": {"promptTokenCount": "x"}}, RetryableError, "malformed_response: "),
    (200, {}, RetryableError, "empty: "),
    (200, candidate("STOP", " \n"), RetryableError, "empty: "),
    (200, candidate("OTHER", None), RetryableError, "answered with no text, OTHER"),
    (200, candidate("OTHER", "절반"), RetryableError, "malformed_response: "),
    (200, candidate("SAFETY", "절반", safetyRatings=HARM), RecordError, "SAFETY (HARM_CATEGORY_HARASSMENT HIGH)"),
    (200, candidate("RECITATION", None), RecordError, "refusal: "),
    (200, candidate("PROHIBITED_CONTENT", None), RecordError, "refusal: "),
    (200, candidate("BLOCKLIST", None), RecordError, "refusal: "),
    (200, candidate("SPII", None), RecordError, "refusal: "),
    (200, candidate("MAX_TOKENS", None), RecordError, "40 of them on thoughts; raise max_tokens"),
    (
        200,
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": COUNTED},
        RecordError,
        "the prompt was blocked, PROHIBITED_CONTENT",
    ),
]


@pytest.mark.parametrize(("status", "body", "expected", "words"), REPLIES)
async def test_each_reply_has_its_consequence_and_never_shows_the_key(open_model, status, body, expected, words):
    async with replying(status, body) as url:
        model = await open_model(url)
        with pytest.raises(expected) as raised:
            await model.complete(REQUEST)
    assert type(raised.value) is expected
    assert words in str(raised.value)
    assert "Model 'customer' (gemini-3.8-flash)" in str(raised.value)
    shown = [str(raised.value), str(raised.value.__cause__), getattr(raised.value, "raw", "") or ""]
    assert KEY not in " ".join(shown)
    if expected in (RetryableError, RecordError):
        assert raised.value.raw is not None  # what the server sent stays beside a rejected record


@pytest.mark.parametrize(
    "body",
    [
        candidate("SAFETY", None),
        candidate("MAX_TOKENS", None),
        candidate("STOP", ""),
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": COUNTED},
    ],
)
async def test_a_failure_that_google_counted_tokens_for_says_so(open_model, body):
    async with replying(200, body) as url:
        model = await open_model(url)
        with pytest.raises((RecordError, RetryableError)) as raised:
            await model.complete(REQUEST)
    assert raised.value.usage == NOTHING
    assert json.loads(raised.value.raw) == body


async def test_an_answer_that_reached_max_tokens_is_handed_over_as_cut(open_model):
    async with replying(200, candidate("MAX_TOKENS", "절반의 답")) as url:
        response = await (await open_model(url)).complete(REQUEST)
    assert (response.text, response.finish_reason) == ("절반의 답", "length")


async def test_thoughts_that_are_shown_are_not_part_of_the_answer(open_model):
    parts = [{"text": "생각해 보면", "thought": True}, {"text": "답은 "}, {"text": "셋입니다."}]
    body = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]}
    async with replying(200, body) as url:
        assert (await (await open_model(url)).complete(REQUEST)).text == "답은 셋입니다."


@pytest.mark.parametrize(
    ("status", "body", "headers", "seconds"),
    [
        (429, quota_error("m", 2.537, "Minute"), {}, 2.537),
        (429, quota_error("m", 2.537, "Minute"), {"Retry-After": "9"}, 2.537),
        (429, error(429, "slow down", "RESOURCE_EXHAUSTED"), {"Retry-After": "7"}, 7.0),
        (429, error(429, "slow down", "RESOURCE_EXHAUSTED"), {"Retry-After": "soon"}, None),
        (503, error(503, "busy", "UNAVAILABLE"), {"Retry-After": "1.5"}, 1.5),
    ],
)
async def test_the_servers_wait_hint_is_passed_on_to_the_fraction(open_model, status, body, headers, seconds):
    async with replying(status, body, headers) as url:
        model = await open_model(url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert raised.value.after_s == seconds


async def test_a_spent_day_parks_until_midnight_in_los_angeles(open_model):
    async with serving(MockGemini(requests_per_day=1)) as url:
        model = await open_model(url)
        await model.complete(REQUEST)
        with pytest.raises(ParkedError) as raised:
            await model.complete(REQUEST)
    reset = datetime.fromisoformat(raised.value.reset_at)
    assert reset == next_reset(datetime.now(UTC)) > datetime.now(UTC)
    assert (reset.hour, reset.minute) == (0, 0)


@pytest.mark.parametrize(
    ("now", "reset"),
    [
        ("2026-11-25T19:00:00+00:00", "2026-11-26T00:00:00-08:00"),
        ("2026-11-26T07:59:59+00:00", "2026-11-26T00:00:00-08:00"),
        ("2026-11-26T08:00:00+00:00", "2026-11-27T00:00:00-08:00"),
        ("2027-03-14T06:00:00+00:00", "2027-03-14T00:00:00-08:00"),
        ("2027-03-14T20:00:00+00:00", "2027-03-15T00:00:00-07:00"),
    ],
)
def test_the_reset_is_the_next_midnight_summer_time_included(now, reset):
    assert next_reset(datetime.fromisoformat(now)) == datetime.fromisoformat(reset)


async def test_a_quota_of_zero_stops_the_run_since_no_day_brings_any(open_model):
    body = quota_error("m", 40, "Day")
    body["error"]["details"][0]["violations"][0]["quotaValue"] = "0"
    async with replying(429, body) as url:
        model = await open_model(url)
        with pytest.raises(StepError, match="no quota at all"):
            await model.complete(REQUEST)


async def test_a_model_that_is_gone_is_answered_with_its_replacement(open_model):
    async with serving(MockGemini(models=("gemini-3.5-flash-lite",))) as url:
        model = await open_model(url, model="gemini-1.5-flash")
        with pytest.raises(StepError, match=r"no such model(.|\n)*It was shut down. Set model: gemini-3.5-flash-lite"):
            await model.complete(REQUEST)


async def test_nobody_listening_and_an_unknown_host_are_transport_errors(open_model):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for base_url in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid"):
        model = await open_model(base_url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
        assert raised.value.reason == "transport"
        assert base_url in raised.value.detail and KEY not in raised.value.detail


@pytest.mark.parametrize(
    ("said", "reason"),
    [(b"", "transport"), (b"SSH-2.0-OpenSSH_9\r\n\r\n", "malformed_response")],
)
async def test_a_connection_that_breaks_and_one_that_babbles_are_told_apart(open_model, said, reason):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        model = await open_model(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert raised.value.reason == reason


@pytest.fixture
def untrusted(tmp_path):
    """A TLS context with a certificate of nobody's."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    made = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost"
    subprocess.run(["openssl", *made.split()], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_a_certificate_nobody_trusts_stops_the_run(open_model, untrusted):
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=untrusted) as server:
        model = await open_model(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(StepError, match=r"is not trusted: .*\nName your authority's certificates"):
            await model.complete(REQUEST)


async def test_a_model_of_the_standard_tier_waits_no_longer_than_timeout_s(open_model):
    async with serving(MockGemini(faults={"hang": 1.0})) as url:
        model = await open_model(url, timeout_s=0.2)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert raised.value.reason == "timeout"


async def test_the_key_is_in_no_repr_no_log_and_no_identity(open_model, caplog):
    caplog.set_level(logging.DEBUG)
    async with serving(MockGemini(key=KEY)) as url:
        model = await open_model(url)
        await model.complete(REQUEST)
    shown = [repr(value) for value in (model, model.options, model._endpoint, vars(model), vars(model._client))]
    assert KEY not in " ".join([*shown, str(model.options), str(model.identity()), model.quota(), caplog.text])
