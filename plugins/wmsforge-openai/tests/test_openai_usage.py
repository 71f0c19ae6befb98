"""Tokens: what was cached, what was thought, and what a failure cost."""

from __future__ import annotations

import pytest
from openai_replies import completion, replying

from wmsforge.errors import RecordError, RetryableError
from wmsforge.steps.chat_model import ChatRequest, Message, Usage

REQUEST = ChatRequest(messages=(Message(role="user", content="피킹이란?"),), max_tokens=64)
OPENAI = {
    "prompt_tokens": 100,
    "completion_tokens": 64,
    "total_tokens": 164,
    "prompt_tokens_details": {"cached_tokens": 80},
    "completion_tokens_details": {"reasoning_tokens": 50},
}
PAID = {"prompt_tokens": 100, "cached_tokens": 80, "completion_tokens": 14, "thought_tokens": 50}


async def usage_of(open_model, counts):
    async with replying(200, completion({"content": "네."}, usage=counts)) as base_url:
        return (await (await open_model(base_url)).complete(REQUEST)).usage


async def test_thoughts_are_taken_out_of_the_answers_tokens_and_cached_ones_told(open_model):
    assert (await usage_of(open_model, OPENAI)).model_dump() == PAID


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        (None, Usage()),
        ({"prompt_tokens": 7, "completion_tokens": 3}, Usage(prompt_tokens=7, completion_tokens=3)),
        (
            {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": None},
            Usage(prompt_tokens=7, completion_tokens=3),
        ),
        (  # counted beside the answer, as xAI does
            {
                "prompt_tokens": 7,
                "completion_tokens": 3,
                "total_tokens": 30,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(prompt_tokens=7, completion_tokens=3, thought_tokens=20),
        ),
        (  # in the total alone, as Google's endpoint does
            {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 25},
            Usage(prompt_tokens=7, completion_tokens=3, thought_tokens=15),
        ),
    ],
)
async def test_what_other_servers_count(open_model, counts, usage):
    assert await usage_of(open_model, counts) == usage


@pytest.mark.parametrize(
    ("body", "expected", "reason"),
    [
        (completion({"content": ""}, "length", usage=OPENAI), RecordError, "truncated"),
        (completion({"content": "일부"}, "content_filter", usage=OPENAI), RecordError, "refusal"),
        (completion({"content": None, "refusal": "안 됩니다."}, usage=OPENAI), RecordError, "refusal"),
        (completion({"content": " "}, usage=OPENAI), RetryableError, "empty"),
        ({"choices": [], "usage": OPENAI}, RetryableError, "malformed_response"),
    ],
)
async def test_a_failure_that_was_paid_for_says_so(open_model, body, expected, reason):
    async with replying(200, body) as base_url:
        model = await open_model(base_url)
        with pytest.raises(expected) as raised:
            await model.complete(REQUEST)
    assert (raised.value.reason, raised.value.usage) == (reason, PAID)


async def test_a_model_that_thinks_all_its_tokens_away_is_told_what_to_change(open_model):
    async with replying(200, completion({"content": ""}, "length", usage=OPENAI)) as base_url:
        model = await open_model(base_url)
        with pytest.raises(RecordError, match="spent all 64 tokens before the answer began; raise max_tokens"):
            await model.complete(REQUEST)


@pytest.mark.parametrize("counts", [None, {}, {"prompt_tokens": "x"}, "x"])
async def test_a_failure_without_a_readable_count_has_no_usage(open_model, counts):
    body = {"choices": [], "usage": counts}
    async with replying(200, body) as base_url:
        model = await open_model(base_url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert (raised.value.reason, raised.value.usage) == ("malformed_response", None)
