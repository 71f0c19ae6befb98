"""Reading a reply with status 200."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

from wmsforge.errors import RecordError, RetryableError
from wmsforge.steps.chat_model import ChatResponse, Usage
from wmsforge_openai.endpoint import Endpoint


def read_reply(endpoint: Endpoint, content: bytes) -> ChatResponse:
    """Return the response that a chat completion holds.

    Raises:
        RetryableError: If it is no chat completion, or an empty one.
        RecordError: If the model refused, or spent all its tokens before the first word of the answer.
    """
    try:
        completion = json.loads(content)
        choice = completion["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        refusal = message.get("refusal")
        finish = choice.get("finish_reason")
        counts = completion.get("usage") or {}
        usage = Usage(
            prompt_tokens=counts.get("prompt_tokens") or 0, completion_tokens=counts.get("completion_tokens") or 0
        )
        blank = not text.strip()
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RetryableError("malformed_response", f"{endpoint} sent: {endpoint.quote(content)}") from error
    if finish == "content_filter" or (refusal and blank):
        raise RecordError("refusal", f"{endpoint}: {endpoint.quote(refusal or 'content filter')}", raw=text)
    if blank and finish == "length":
        raise RecordError(
            "empty_response",
            f"{endpoint} spent all {usage.completion_tokens} tokens before the answer began; raise max_tokens",
        )
    if blank:
        raise RetryableError("empty_response", f"{endpoint} answered with no text")
    return ChatResponse(
        text=text,
        finish_reason=_finish(finish),
        usage=usage,
        model=completion.get("model") or "",
        created_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _finish(reason: Any) -> Literal["stop", "length"]:
    return "length" if reason == "length" else "stop"
