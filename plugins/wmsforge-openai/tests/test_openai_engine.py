"""Model and embedder inside the engine: who shares limits, who waits, what a call costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from mock_openai import MockOpenAI, serving

from wmsforge.errors import RecordError, StepError
from wmsforge.options import Ref
from wmsforge.plugins import load_plugins
from wmsforge.recipe.load import load_recipe
from wmsforge.records import Document
from wmsforge.run.events import Events
from wmsforge.run.resources import Resources
from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.store.ledger import Ledger
from wmsforge.testing import LocalContext

KEYS = {"ONE": "sk-one", "TWO": "sk-two"}
RECIPE = """\
name: shared
models:
  expert: {{use: openai-compatible, base_url: "{url}", api_key: "${{ONE}}", model: solar, {expert}}}
  customer: {{use: openai-compatible, base_url: "{url}", api_key: "${{ONE}}", model: lora, concurrency: 4}}
  stranger: {{use: openai-compatible, base_url: "{url}", api_key: "${{TWO}}", model: solar}}
  alone: {{use: openai-compatible, base_url: "{url}", api_key: "${{ONE}}", model: solar, limits_per: model}}
  vectors: {{use: openai-compatible, kind: embedder, base_url: "{url}", api_key: "${{ONE}}", model: e, dimensions: 8,
    {vectors}}}
steps:
  documents: {{use: files, path: docs}}
"""


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Resources]]:
    """Makes the resources of a run of `RECIPE`."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    events = Events(tmp_path / "events.jsonl")
    host = load_plugins()
    made: list[Resources] = []

    def resources(url: str, expert: str = "concurrency: 8", vectors: str = "batch_texts: 64") -> Resources:
        (tmp_path / "recipe.yaml").write_text(RECIPE.format(url=url, expert=expert, vectors=vectors), encoding="utf-8")
        (tmp_path / "docs").mkdir()
        recipe = load_recipe(tmp_path / "recipe.yaml", registry=host.registry, environ=KEYS)
        made.append(Resources(recipe, host, ledger, events, "run-1", tmp_path / "models"))
        return made[-1]

    yield resources
    for each in made:
        await each.close()
    ledger.close()
    events.close()


def ask(text: str) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),))


async def test_models_and_embedders_of_one_key_at_one_server_share_a_limiter(make):
    resources = make("http://127.0.0.1:9/v1")
    models = resources.recipe.models
    limiters = {}
    for id in ("expert", "customer", "stranger", "alone"):
        chat = await resources.chat("answers", models[id], id)
        limiters[id] = chat._shared.provider.limiter
        assert "sk-" not in chat._shared.provider.quota
    vectors = await resources.embedder("index", models["vectors"], "vectors", Path())
    assert limiters["expert"] is limiters["customer"] is vectors._provider.limiter
    assert len(set(limiters.values())) == 3


async def test_no_retry_comes_before_its_hint_and_each_failure_is_counted_by_its_code(make):
    faults = {"rate_limit": 0.3, "overloaded": 0.1, "server_error": 0.1, "truncated": 0.1, "empty": 0.1}
    mock = MockOpenAI(faults=faults, faults_per_request=1, hint_s=(0.1, 0.4), seed=5)
    async with serving(mock) as base_url:
        resources = make(base_url)
        chat = await resources.chat("answers", resources.recipe.models["expert"], "expert")
        responses = await asyncio.gather(*(chat.complete(ask(f"{number}번 질문")) for number in range(40)))
    stats = mock.stats()
    assert len(responses) == 40 == stats["unique"] and stats["repeated"] == {} and stats["early"] == []
    outcomes = {**stats["outcomes"], "malformed_response": stats["outcomes"]["truncated"]}
    assert chat.counts.failures == {reason: outcomes[reason] for reason in chat.counts.failures}
    assert set(chat.counts.failures) == {"rate_limit", "overloaded", "server_error", "malformed_response", "empty"}


async def test_an_answer_that_does_not_come_is_given_up_by_the_engine_and_asked_for_again(make):
    mock = MockOpenAI(faults={"hang": 1.0}, faults_per_request=1)
    async with serving(mock) as base_url:
        resources = make(base_url, expert="timeout_s: 0.2")
        chat = await resources.chat("answers", resources.recipe.models["expert"], "expert")
        assert "질문" in (await chat.complete(ask("질문"))).text
        assert chat.counts.failures == {"timeout": 1}
    assert mock.stats()["abandoned"] == 1


async def test_a_refusal_is_paid_once_and_not_asked_again(make):
    mock = MockOpenAI(faults={"refusal": 1.0}, faults_per_request=9)
    async with serving(mock) as base_url:
        resources = make(base_url, expert="price: {input: 1, output: 2}")
        chat = await resources.chat("answers", resources.recipe.models["expert"], "expert")
        for _ in range(2):
            with pytest.raises(RecordError, match="refusal"):
                await chat.complete(ask("안 되는 질문"))
    assert mock.stats()["started"] == 1
    assert chat.counts.reused == 1
    paid = resources.paid("answers")["expert (solar)"]
    assert paid.cost_usd > 0


async def test_a_wrong_key_stops_at_once(make):
    mock = MockOpenAI(key="sk-right")
    async with serving(mock) as base_url:
        resources = make(base_url)
        chat = await resources.chat("answers", resources.recipe.models["expert"], "expert")
        with pytest.raises(StepError, match="refuses the key") as raised:
            await chat.complete(ask("질문"))
    assert "sk-one" not in str(raised.value)
    assert "Check the variable ONE (option api_key): export ONE=..." in str(raised.value)


async def test_a_query_is_embedded_once_and_never_again(make):
    mock = MockOpenAI()
    async with serving(mock) as base_url:
        resources = make(base_url)
        vectors = await resources.embedder("answers", resources.recipe.models["vectors"], "vectors", Path())
        first = await vectors.embed_queries(["언제 점검하나요?", "누가 검수하나요?"])
        again = await vectors.embed_queries(["누가 검수하나요?", "무엇을 세나요?", "언제 점검하나요?"])
    assert (again[0] == first[1]).all() and (again[2] == first[0]).all()
    assert mock.stats()["started"] == 2
    assert resources.calls("answers")["vectors (e)"].calls == 2


async def test_an_index_is_embedded_with_as_many_calls_at_once_as_allowed(make, tmp_path):
    faiss = pytest.importorskip("wmsforge_retrievers.faiss", reason="wmsforge-retrievers is not installed")
    pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    mock = MockOpenAI(latency_s=0.2)
    async with serving(mock) as base_url:
        resources = make(base_url, vectors="concurrency: 4, batch_texts: 4")
        vectors = await resources.embedder("index", resources.recipe.models["vectors"], "vectors", Path())
        options = faiss.FaissRetriever.Options(embedder=Ref("embedder", name="vectors"))
        retriever = faiss.FaissRetriever(options, LocalContext(tmp_path, {"vectors": vectors}))
        await retriever.open()
        documents = [
            Document(id=f"{number}", path=f"{number}.txt", sha256="0", text=f"{number}번 문단입니다.")
            for number in range(64)
        ]
        await retriever.build(documents)
    assert mock.stats()["started"] == 16 and mock.stats()["most_in_flight"] == 4


async def test_texts_are_embedded_in_batches_limited_retried_and_counted(make):
    mock = MockOpenAI(faults={"rate_limit": 1.0}, faults_per_request=1, hint_s=0.05)
    async with serving(mock) as base_url:
        resources = make(base_url)
        vectors = await resources.embedder("index", resources.recipe.models["vectors"], "vectors", Path())
        made = await vectors.embed_passages([f"{number}번 문단" for number in range(150)])
    assert made.shape == (150, 8)
    assert mock.stats()["outcomes"] == {"rate_limit": 3, "ok": 3} and mock.early == []
    counts = resources.calls("index")["vectors (e)"]
    assert (counts.calls, counts.retries) == (3, 3)
    assert counts.prompt_tokens > 0
