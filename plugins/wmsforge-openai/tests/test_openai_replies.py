"""What each reply of a server becomes: a response, or the error with the right consequence."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import socket
import ssl
import subprocess
from typing import Any

import pytest
from openai_replies import completion, error, replying

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError
from wmsforge.steps.chat_model import ChatRequest, Message

KEY = "sk-secret-3f9a"
REQUEST = ChatRequest(messages=(Message(role="user", content="피킹이란?"),))


ECHO = f"Incorrect API key provided: {KEY}."
CASES: list[tuple[int, Any, type[Exception], str]] = [
    (401, error(ECHO), AuthenticationError, "refuses the key (401): Incorrect API key provided: [api_key]."),
    (403, error("Forbidden"), AuthenticationError, "refuses the key (403): Forbidden"),
    (403, error("No access", "invalid_request_error", "model_not_found"), StepError, "no such model"),
    (404, error("The model `solar` does not exist.", "NotFoundError"), StepError, "Correct model; list what it has: "),
    (404, {"detail": "Not Found"}, StepError, "(404): Not Found\nCorrect base_url; it usually ends in /v1"),
    (404, "<html>no</html>", StepError, "/v1/chat/completions): nothing answers chat/completions"),
    (405, {"detail": "Method Not Allowed"}, StepError, "Correct base_url"),
    (402, error("Insufficient Balance"), ParkedError, "quota is used up"),
    (
        429,
        error("No credit.", "insufficient_quota", "credit_balance_exhausted"),
        ParkedError,
        "Add credit",
    ),
    (429, error("Slow down", "requests", "rate_limit_exceeded"), RetryableError, "rate_limit: "),
    (500, error("oops"), RetryableError, "server_error: "),
    (502, "<html>Bad gateway</html>", RetryableError, "server_error: "),
    (503, {"error": "loading model"}, RetryableError, "overloaded: "),
    (504, "", RetryableError, "server_error: "),
    (529, error("Overloaded"), RetryableError, "overloaded: "),
    (408, "", RetryableError, "server_error: "),
    (400, error("too long", "invalid_request_error", "context_length_exceeded"), RecordError, "prompt_too_long: "),
    (400, {"object": "error", "message": "maximum context length is 9 tokens"}, RecordError, "prompt_too_long: "),
    (400, error("request (9 tokens) exceeds", "exceed_context_size_error"), RecordError, "prompt_too_long: "),
    (413, "Payload Too Large", RecordError, "prompt_too_long: "),
    (400, error("Unsupported parameter", None, "unsupported_parameter"), StepError, "Set max_tokens_field"),
    (400, error("temperature must be at most 2"), RecordError, "bad_request: "),
    (429, error("Request too large for m on tokens per min (TPM)", "tokens"), RecordError, "prompt_too_long: "),
    (400, error("filtered", None, "content_filter"), RecordError, "refusal: "),
    (422, {"detail": [{"loc": ["body", "stop"], "msg": "too many"}]}, RecordError, "'msg': 'too many'"),
    (200, "{'choices'", RetryableError, "malformed_response: "),
    (200, [], RetryableError, "malformed_response: "),
    (200, {"choices": []}, RetryableError, 'sent: {"choices": []}'),
    (200, {"error": {"message": "provider died", "code": 502}}, RetryableError, "provider died"),
    (200, completion({"role": "assistant", "content": [{"type": "text"}]}), RetryableError, "malformed_response: "),
    (200, {**completion({"content": "네."}), "usage": {"prompt_tokens": "x"}}, RetryableError, "malformed_response: "),
    (200, completion({"content": " \n"}), RetryableError, "empty: "),
    (200, completion({"content": None}), RetryableError, "empty: "),
    (200, completion({"content": ""}, "length"), RecordError, "truncated: "),
    (200, completion({"content": ""}, "length"), RecordError, "raise max_tokens"),
    (200, completion({"content": "일부"}, "content_filter"), RecordError, "refusal: "),
    (200, completion({"content": None, "refusal": "도울 수 없습니다."}), RecordError, "도울 수 없습니다."),
]


@pytest.mark.parametrize(("status", "body", "expected", "words"), CASES)
async def test_each_reply_has_its_consequence_and_never_shows_the_key(open_model, status, body, expected, words):
    async with replying(status, body) as base_url:
        model = await open_model(base_url, api_key=KEY)
        with pytest.raises(expected) as raised:
            await model.complete(REQUEST)
    assert type(raised.value) is expected
    assert words in str(raised.value)
    assert "Model 'expert' (solar at http://127.0.0.1" in str(raised.value)
    assert KEY not in str(raised.value)
    if isinstance(raised.value, (RecordError, RetryableError)):
        sent = body if isinstance(body, str) else json.dumps(body)
        assert raised.value.raw == sent


async def test_what_the_server_sent_is_kept_without_the_key_and_of_bounded_length(open_model):
    async with replying(400, error(ECHO + " " + "가" * 100_000)) as base_url:
        model = await open_model(base_url, api_key=KEY)
        with pytest.raises(RecordError) as raised:
            await model.complete(REQUEST)
    assert "Incorrect API key provided: [api_key]." in raised.value.raw and KEY not in raised.value.raw
    assert len(raised.value.raw) < 21_000


async def test_a_server_that_wants_a_key_where_none_is_set(open_model):
    async with replying(401, error("You didn't provide an API key.")) as base_url:
        model = await open_model(base_url)
        with pytest.raises(AuthenticationError, match="asks for a key"):
            await model.complete(REQUEST)


async def test_a_redirect_is_not_followed_with_the_key(open_model):
    async with replying(301, "", {"Location": "https://elsewhere.example/v1"}) as base_url:
        model = await open_model(base_url, api_key=KEY)
        with pytest.raises(StepError, match=r"moved to https://elsewhere.example/v1"):
            await model.complete(REQUEST)


async def test_a_long_message_of_the_server_is_cut_after_the_key_is_taken_out(open_model):
    async with replying(400, error("가" * 290 + KEY * 9)) as base_url:
        model = await open_model(base_url, api_key=KEY)
        with pytest.raises(RecordError) as raised:
            await model.complete(REQUEST)
    assert raised.value.detail.endswith("가[api_key][...")
    assert "sk-" not in raised.value.detail


async def test_nobody_listening_and_an_unknown_host_are_transport_errors(open_model):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for base_url in (f"http://127.0.0.1:{port}/v1", "http://no-such-host.invalid/v1"):
        model = await open_model(base_url, api_key=KEY)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
        assert raised.value.reason == "transport"
        assert base_url in raised.value.detail and KEY not in raised.value.detail


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
        model = await open_model(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        with pytest.raises(StepError, match=r"certificate is not trusted: .*\nName your authority's certificates"):
            await model.complete(REQUEST)


async def test_a_connection_reset_before_the_answer_is_a_transport_error(open_model):
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    async with await asyncio.start_server(slam, "127.0.0.1", 0) as server:
        model = await open_model(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert raised.value.reason == "transport"


async def test_an_answer_that_is_not_http_is_malformed(open_model):
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH_9\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        model = await open_model(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert raised.value.reason == "malformed_response"


async def test_the_key_is_in_no_repr_and_no_log(open_model, caplog):
    caplog.set_level(logging.DEBUG)
    async with replying(200, completion({"content": "네."})) as base_url:
        model = await open_model(base_url, api_key=KEY)
        await model.complete(REQUEST)
    shown = [repr(value) for value in (model, model.options, model._endpoint, model._transport, vars(model))]
    assert KEY not in " ".join([*shown, str(model.options), str(model.identity()), caplog.text])


def saying(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": "", **message}}]}


@pytest.mark.parametrize(
    "body",
    [{**saying(content="네"), "model": 5}, saying(refusal={"a": 1}), saying(content=7), "[" * 100_000],
)
async def test_a_reply_of_odd_types_has_its_code_and_breaks_nothing(open_model, body):
    async with replying(200, body) as base_url:
        model = await open_model(base_url)
        with pytest.raises((RetryableError, RecordError), match=r"malformed_response|refusal"):
            await model.complete(REQUEST)
