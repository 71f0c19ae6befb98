"""The embedder: what is sent, what comes back, and how it fails."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from mock_openai import DIMENSIONS, MockOpenAI, serving
from openai_replies import error, replying
from wmsforge_openai.embedder import OpenAICompatibleEmbedder

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError
from wmsforge.steps.embedder import USED_TOKENS

KEY = "sk-secret-3f9a"
TEXTS = ["입고 검수 절차", "입고 검수 순서", "휴가 신청 방법"]


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[str, list[Any]]]:
    """Gives a base_url and the list of bodies that were sent to its embeddings."""
    sent: list[Any] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        assert request.path == "/v1/embeddings"
        sent.append(json.loads(await request.read()))
        return web.json_response(vectors(*([3.0, 4.0] for _ in sent[-1]["input"])))

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", sent
    await runner.cleanup()


def vectors(*rows: Any, **fields: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    return {"object": "list", "data": data, **fields}


async def test_vectors_are_unit_vectors_in_the_order_of_the_texts_and_alike_for_like_texts(open_embedder):
    async with serving(MockOpenAI()) as base_url:
        embedder = await open_embedder(base_url)
        passages = await embedder.embed_passages(TEXTS)
        alone = [await embedder.embed_queries([text]) for text in TEXTS]
    assert embedder.dimension == DIMENSIONS
    assert passages.shape == (3, DIMENSIONS) and passages.dtype == np.float32
    assert np.allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-6)
    assert np.allclose(passages, np.concatenate(alone), atol=1e-6)
    assert passages[0] @ passages[1] > passages[0] @ passages[2]


async def test_no_texts_are_no_call(open_embedder):
    mock = MockOpenAI()
    async with serving(mock) as base_url:
        embedder = await open_embedder(base_url, dimensions=8)
        assert (await embedder.embed_passages([])).shape == (0, 8)
    assert mock.stats()["started"] == 0


async def test_the_dimension_is_asked_for_once_or_given(open_embedder):
    mock = MockOpenAI()
    async with serving(mock) as base_url:
        assert (await open_embedder(base_url)).dimension == DIMENSIONS
        assert mock.stats()["started"] == 1
        given = await open_embedder(base_url, dimensions=16)
        assert given.dimension == 16 and mock.stats()["started"] == 1
        assert (await given.embed_queries(TEXTS)).shape == (3, 16)


async def test_prefixes_the_model_for_queries_and_further_fields_are_sent(open_embedder):
    async with recording() as (base_url, sent):
        embedder = await open_embedder(
            base_url,
            dimensions=2,
            query_model="embed-query",
            query_prefix="query: ",
            passage_prefix="passage: ",
            extra_body={"truncate": "END"},
        )
        await embedder.embed_passages(["가", "나"])
        await embedder.embed_queries(["다"])
    common = {"dimensions": 2, "encoding_format": "float", "truncate": "END"}
    assert sent == [
        {"model": "embed", "input": ["passage: 가", "passage: 나"], **common},
        {"model": "embed-query", "input": ["query: 다"], **common},
    ]


async def test_vectors_in_base64_are_read_too(open_embedder):
    packed = base64.b64encode(struct.pack("<2f", 3.0, 4.0)).decode()
    async with replying(200, vectors(packed)) as base_url:
        embedder = await open_embedder(base_url)
        assert np.allclose(await embedder.embed_queries(["가"]), [[0.6, 0.8]])


async def test_tokens_are_counted_for_whoever_collects_them(open_embedder):
    async with serving(MockOpenAI()) as base_url:
        embedder = await open_embedder(base_url)
        used: list[int] = []
        USED_TOKENS.set(used)
        await embedder.embed_passages(TEXTS)
    assert used == [sum(map(len, TEXTS)) // 2]


@pytest.mark.parametrize(
    ("status", "body", "expected", "words"),
    [
        (401, error(f"Incorrect API key provided: {KEY}."), AuthenticationError, "refuses the key (401): Incorrect"),
        (404, {"detail": "Not Found"}, StepError, "nothing answers embeddings (404)"),
        (402, error("Insufficient Balance"), ParkedError, "quota is used up"),
        (429, error("Slow down"), RetryableError, "rate_limit: "),
        (503, error("busy"), RetryableError, "overloaded: "),
        (400, error("maximum context length is 512"), RecordError, "prompt_too_long: "),
        (200, "no json", RetryableError, "malformed_response: "),
        (200, vectors(), RetryableError, "(0 for 1 texts)"),
        (200, vectors([1, 2], [3, 4]), RetryableError, "(2 for 1 texts)"),
        (200, vectors([0.0, 0.0]), RetryableError, "(one has no direction)"),
        (200, '{"data": [{"index": 0, "embedding": [NaN, 1]}]}', RetryableError, "(one has no direction)"),
        (200, vectors([[1.0], [2.0]]), RetryableError, "(one for each token)"),
        (200, vectors(["x", 1]), RetryableError, "malformed_response: "),
        (200, vectors([1.0, 2.0, 3.0]), StepError, "gave vectors of 3 numbers, not of 2"),
    ],
)
async def test_each_reply_has_its_consequence(open_embedder, status, body, expected, words):
    async with replying(status, body) as base_url:
        embedder = await open_embedder(base_url, api_key=KEY, dimensions=2)
        with pytest.raises(expected) as raised:
            await embedder.embed_queries(["가"])
    assert type(raised.value) is expected
    assert words in str(raised.value) and "Model 'vectors' (embed at http://" in str(raised.value)
    assert KEY not in str(raised.value)
    if isinstance(raised.value, (RecordError, RetryableError)):
        assert raised.value.raw


async def test_vectors_that_were_paid_for_and_cannot_be_used_say_so(open_embedder):
    async with replying(200, vectors(usage={"prompt_tokens": 5})) as base_url:
        embedder = await open_embedder(base_url, dimensions=2)
        with pytest.raises(RetryableError) as raised:
            await embedder.embed_queries(["가"])
    assert raised.value.usage == {"prompt_tokens": 5}


async def test_opening_waits_as_long_as_the_server_asks_and_then_goes_on(open_embedder):
    mock = MockOpenAI(faults={"rate_limit": 1.0}, hint_s=0.1, faults_per_request=2)
    async with serving(mock) as base_url:
        assert (await open_embedder(base_url)).dimension == DIMENSIONS
    assert mock.stats()["outcomes"] == {"rate_limit": 2, "ok": 1} and mock.early == []


async def test_opening_gives_up_after_the_tries_it_has_or_at_once_where_none_can_succeed(open_embedder):
    mock = MockOpenAI(faults={"rate_limit": 1.0}, hint_s=0.01, faults_per_request=9)
    async with serving(mock) as base_url:
        with pytest.raises(StepError, match=r"could be embedded .* rate_limit: (.|\n)*dimensions: 1024"):
            await open_embedder(base_url, max_attempts=2)
    assert mock.stats()["started"] == 2
    async with replying(400, error("no embeddings here")) as base_url:
        with pytest.raises(StepError, match=r"could be embedded .*bad_request"):
            await open_embedder(base_url)


async def test_opening_does_not_wait_for_ever_for_an_answer(open_embedder):
    async with serving(MockOpenAI(latency_s=60)) as base_url:
        with pytest.raises(StepError, match=r"timeout: .*no answer within 0\.1 s"):
            await open_embedder(base_url, timeout_s=0.1, max_attempts=1)


def test_what_decides_the_vectors_is_their_identity():
    def identity(**options: Any) -> dict[str, Any]:
        return OpenAICompatibleEmbedder.Options(**{"base_url": "http://h/v1", "model": "e", **options}).identity()

    assert identity(base_url="http://h:2/v1", api_key="k", batch_texts=3, concurrency=2) == identity()
    for change in ({"model": "f"}, {"query_prefix": "q"}, {"dimensions": 8}, {"revision": "2"}, {"query_model": "q"}):
        assert identity(**change) != identity()


def test_the_fields_that_are_ours_are_refused():
    with pytest.raises(ValueError, match="must not hold input"):
        OpenAICompatibleEmbedder.Options(base_url="http://h/v1", model="e", extra_body={"input": "x"})
