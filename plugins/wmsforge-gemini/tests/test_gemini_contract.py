"""The same tests against our fake of Google's API and a stranger's, so that we do not only agree with ourselves.

The stranger is `llmock` (pip install 'wmsforge-gemini[test]'). It knows no RetryInfo, no safety blocks, no
thoughts and no batch jobs as Google writes them: those have tests of their own against our fake.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from mock_gemini import MockGemini, serving
from pydantic import BaseModel, ConfigDict

from wmsforge.errors import AuthenticationError, RecordError, RetryableError
from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.structured import ask

KEY = "AIza-secret-3f9a"
REQUEST = ChatRequest(
    messages=(
        Message(role="system", content="You are a customer of a warehouse consultant."),
        Message(role="user", content="Ask something about receiving goods in a warehouse."),
        Message(role="assistant", content="What is checked first when goods arrive at the dock?"),
        Message(role="user", content="Ask something else, about picking."),
    )
)
HINT_S = 0.4
STATUS = {"rate_limit": 429, "server_error": 500, "overloaded": 503, "deadline": 504}


class Fakes:
    """Starts a fake that misbehaves a few times and then serves; gives its base_url."""

    def __init__(self, name: str, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self._stack, self._monkeypatch = name, stack, monkeypatch

    def start(self, *faults: str, context_tokens: int = 1_000_000) -> str:
        return getattr(self, f"_{self.name}")(faults, context_tokens)

    def refusing(self, status: int) -> str:
        """Start a fake that refuses every request with this status."""
        if self.name == "llmock":
            return self._llmock((), 1_000_000, status)
        return self._ours((), 1_000_000, key="another key")

    def _ours(self, faults: tuple[str, ...], context_tokens: int, key: str | None = None) -> str:
        shares = {fault: 1 / len(faults) for fault in faults}
        limits = {"hint_s": (HINT_S, HINT_S), "context_tokens": context_tokens, "key": key}
        mock = MockGemini(faults=shares, faults_per_request=1, cached_share=0.5, **limits)
        started, stop = threading.Event(), asyncio.Event()
        told: list[Any] = []

        async def serve() -> None:
            async with serving(mock) as base_url:
                told.extend([base_url, asyncio.get_running_loop()])
                started.set()
                await stop.wait()

        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert started.wait(10)
        self._stack.callback(thread.join, 10)
        self._stack.callback(told[1].call_soon_threadsafe, stop.set)
        return str(told[0])

    def _llmock(self, faults: tuple[str, ...], context_tokens: int, refused: int | None = None) -> str:
        from llmock.scenarios import Fail
        from llmock.testing import LLMockServer

        self._monkeypatch.setenv("LLMOCK_CONTEXT_WINDOW", str(context_tokens))
        server = self._stack.enter_context(LLMockServer())
        for fault in faults:
            server.state.scenarios.add(Fail(STATUS[fault], retry_after=HINT_S if fault == "rate_limit" else None))
        if refused is not None:
            server.state.scenarios.add(Fail(refused, times=None, message=f"The key {KEY} is refused."))
        return server.base_url("gemini")


@pytest.fixture(params=["ours", "llmock"])
def fakes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fakes]:
    if request.param == "llmock" and importlib.util.find_spec("llmock") is None:
        pytest.skip("needs llmock: pip install llmock")
    with ExitStack() as stack:
        yield Fakes(request.param, stack, monkeypatch)


async def test_an_answer_has_text_an_end_and_counted_tokens(fakes, open_model):
    response = await (await open_model(fakes.start(), thinking_level="low", service_tier="flex")).complete(REQUEST)
    assert response.text and response.finish_reason == "stop"
    assert response.usage.prompt_tokens > 10 and response.usage.completion_tokens > 0
    assert response.usage.cached_tokens < response.usage.prompt_tokens


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str
    urgent: bool


class AskedAll(BaseModel):
    model_config = ConfigDict(extra="forbid")

    questions: list[Asked]


SCHEMA = {
    "type": "object",
    "properties": {
        "questions": {
            "type": "array",
            "minItems": 2,
            "items": {
                "type": "object",
                "properties": {"question": {"type": "string"}, "urgent": {"type": "boolean"}},
                "required": ["question", "urgent"],
            },
        }
    },
    "required": ["questions"],
}


async def test_a_schema_gets_an_answer_that_our_own_validation_takes(fakes, open_model):
    model = await open_model(fakes.start())
    model.name = "customer"  # what the engine's handle has besides
    found = await ask(model, REQUEST.model_copy(update={"json_schema": SCHEMA}), AskedAll, max_rounds=1)
    assert len(found.value.questions) >= 2 and all(each.question for each in found.value.questions)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("rate_limit", "rate_limit"),
        ("server_error", "server_error"),
        ("overloaded", "overloaded"),
        ("deadline", "server_error"),
    ],
)
async def test_what_may_pass_is_retryable_with_its_reason_and_passes(fakes, open_model, fault, reason):
    model = await open_model(fakes.start(fault))
    with pytest.raises(RetryableError) as raised:
        await model.complete(REQUEST)
    assert (raised.value.reason, raised.value.usage) == (reason, None)
    assert json.loads(raised.value.raw)["error"]["code"] == STATUS[fault]
    assert (await model.complete(REQUEST)).text


async def test_the_wait_that_a_rate_limit_asks_for_is_passed_on(fakes, open_model):
    model = await open_model(fakes.start("rate_limit"))
    with pytest.raises(RetryableError) as raised:
        await model.complete(REQUEST)
    # llmock says it in whole seconds, in Retry-After; Google to the fraction, in RetryInfo.
    assert raised.value.after_s == HINT_S or (fakes.name == "llmock" and raised.value.after_s == 1)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_stops_at_once_and_is_not_shown(fakes, open_model, status):
    model = await open_model(fakes.refusing(status))
    with pytest.raises(AuthenticationError, match="refuses the key") as raised:
        await model.complete(REQUEST)
    assert KEY not in str(raised.value)


async def test_a_prompt_that_does_not_fit_is_rejected(fakes, open_model):
    model = await open_model(fakes.start(context_tokens=50))
    with pytest.raises(RecordError) as raised:
        await model.complete(ChatRequest(messages=(Message(role="user", content="a long question " * 50),)))
    assert raised.value.reason == "prompt_too_long"


RECIPE = """\
name: stormy
models:
  customer: {{use: gemini, model: gemini-3.8-flash, api_key: "${{GEMINI_TEST_KEY}}", base_url: "{base_url}"}}
steps:
  questions:
    use: gemini-personas
    model: customer
    personas: personas.yaml
    per_topic: 1
    topics: [입고 처리, 피킹 작업, 재고 실사]
"""
PERSONAS = "personas: [{name: 김영수, role: 관리자}, {name: 박지현, role: 책임자}]\n"


def test_a_run_through_the_engine_asks_every_question_in_spite_of_failures(fakes, tmp_path):
    base_url = fakes.start("rate_limit", "server_error", "overloaded")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(base_url=base_url), encoding="utf-8")
    (tmp_path / "personas.yaml").write_text(PERSONAS, encoding="utf-8")
    environment = {**os.environ, "GEMINI_TEST_KEY": KEY}
    run = [sys.executable, "-m", "wmsforge", "run", "recipe.yaml"]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    status = [sys.executable, "-m", "wmsforge", "status", "recipe.yaml", "--json"]
    told = subprocess.run(status, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    (step,) = json.loads(told.stdout)["recipes"][0]["steps"]
    assert (step["in"], step["out"], step["rejected"]) == (6, 6, 0)
    (counts,) = step["calls"].values()
    assert counts["calls"] == 6 and counts["retries"] == sum(counts["failures"].values()) >= 3
    assert KEY not in done.stdout + done.stderr + told.stdout
