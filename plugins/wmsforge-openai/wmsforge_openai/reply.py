"""Reading a chat completion."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from wmsforge.errors import RecordError, RetryableError
from wmsforge.reasons import EMPTY, MALFORMED_RESPONSE, REFUSAL, TRUNCATED
from wmsforge.steps.chat_model import ChatResponse, Usage
from wmsforge_openai.endpoint import Endpoint


def read_reply(endpoint: Endpoint, content: bytes) -> ChatResponse:
    """Return the response that a chat completion holds.

    Raises:
        RetryableError: If it is no chat completion, or an empty one.
        RecordError: If the model refused, or spent all its tokens before the first word of the answer.
    """
    try:
        return _read(endpoint, content)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        detail = f"{endpoint} sent: {endpoint.quote(content)}"
        raise RetryableError(MALFORMED_RESPONSE, detail, raw=endpoint.raw(content)) from error


def _read(endpoint: Endpoint, content: bytes) -> ChatResponse:
    counts = None
    try:
        completion = json.loads(content)
        counts = completion.get("usage")
        choice = completion["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        refusal = message.get("refusal")
        finish = choice.get("finish_reason")
        usage = _usage(counts or {})
        blank = not text.strip()
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        detail = f"{endpoint} sent: {endpoint.quote(content)}"
        raise RetryableError(MALFORMED_RESPONSE, detail, raw=endpoint.raw(content), usage=_counted(counts)) from error
    if finish == "content_filter" or (refusal and blank):
        detail = f"{endpoint}: {endpoint.quote(refusal or 'content filter')}"
        raise RecordError(REFUSAL, detail, endpoint.raw(content), _counted(counts))
    if blank and finish == "length":
        spent = usage.completion_tokens + usage.thought_tokens
        detail = f"{endpoint} spent all {spent} tokens before the answer began; raise max_tokens"
        raise RecordError(TRUNCATED, detail, endpoint.raw(content), _counted(counts))
    if blank:
        detail = f"{endpoint} answered with no text"
        raise RetryableError(EMPTY, detail, raw=endpoint.raw(content), usage=_counted(counts))
    return ChatResponse(
        text=text,
        finish_reason=_finish(finish),
        usage=usage,
        model=completion.get("model") or "",
        created_at=_written(int(time.time())),
    )


def _usage(counts: Mapping[str, Any]) -> Usage:
    """Return the tokens of a completion.

    OpenAI counts thoughts among the completion's tokens. Some count them beside (xAI, Google): there the
    total is more than its parts.
    """
    prompt, completion = counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0
    beside = (counts.get("total_tokens") or 0) - prompt - completion
    thoughts = _detail(counts, "completion_tokens_details", "reasoning_tokens")
    if beside > 0:
        thoughts = beside
    else:
        thoughts = min(thoughts, completion)
        completion -= thoughts
    return Usage(
        prompt_tokens=prompt,
        cached_tokens=min(prompt, _detail(counts, "prompt_tokens_details", "cached_tokens")),
        completion_tokens=completion,
        thought_tokens=thoughts,
    )


def _detail(counts: Mapping[str, Any], part: str, name: str) -> int:
    number: int = (counts.get(part) or {}).get(name) or 0
    return number


def _counted(counts: Any) -> dict[str, int] | None:
    """Return the usage of a failure; None if the server counted nothing that can be read."""
    if not isinstance(counts, dict):
        return None
    try:
        usage = _usage(counts)
    except (ValueError, TypeError, AttributeError):
        return None
    return usage.model_dump() if usage != Usage() else None


def _finish(reason: Any) -> Literal["stop", "length"]:
    return "length" if reason == "length" else "stop"


@lru_cache(maxsize=2)  # hundreds of replies come in one second, and strftime costs more than parsing one
def _written(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
