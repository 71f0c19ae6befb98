"""Reading the body of a GenerateContentResponse: an answer, or the reason why there is none.

The body is read as Google sent it, not through the SDK's classes: these would cost more time than the rest of
the call, and know only the finish reasons of their day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from wmsforge.errors import RecordError, RetryableError
from wmsforge.reasons import EMPTY, MALFORMED_RESPONSE, REFUSAL, TRUNCATED
from wmsforge.steps.chat_model import ChatResponse, Usage
from wmsforge_gemini.endpoint import Endpoint

FINISHED = frozenset({"STOP", "FINISH_REASON_UNSPECIFIED", None})
REFUSED = frozenset(
    {"SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", "IMAGE_SAFETY", "MODEL_ARMOR"}
)
"""Finish reasons after which asking the same again gives the same."""


def read_reply(endpoint: Endpoint, content: str) -> ChatResponse:
    """Return the response that a reply with status 200 holds.

    Raises:
        RetryableError: `malformed_response` if it is none, `empty` if it holds no text.
        RecordError: `refusal` if the prompt or the answer was blocked, `truncated` if all tokens were spent
            before the first word. What Google counted is its `usage`.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        detail = f"{endpoint} sent no JSON: {endpoint.quote(content)}"
        raise RetryableError(MALFORMED_RESPONSE, detail, raw=endpoint.keep(content)) from error
    return read_body(endpoint, body)


def read_body(endpoint: Endpoint, body: Any) -> ChatResponse:
    """Return the response that a parsed body holds; raises as `read_reply`."""
    try:
        usage = _usage(body.get("usageMetadata"))
        blocked = (body.get("promptFeedback") or {}).get("blockReason")
        candidate = (body.get("candidates") or [None])[0]
        finish = candidate.get("finishReason") if candidate else None
        parts = (candidate.get("content") or {}).get("parts") or [] if candidate else []
        text = "".join([part.get("text") or "" for part in parts if not part.get("thought")])
        model = body.get("modelVersion") or ""
        known = isinstance(model, str) and (finish is None or isinstance(finish, str))
    except (LookupError, TypeError, AttributeError, ValueError):
        known = False
    if not known:
        detail = f"{endpoint} sent: {endpoint.quote(body)}"
        raise RetryableError(MALFORMED_RESPONSE, detail, raw=endpoint.keep(body))
    if finish in FINISHED and text and not text.isspace():
        return _response(text, "stop", usage, model)
    counted, raw = usage.model_dump() if usage is not None else None, endpoint.keep(body)
    if blocked and not candidate:
        detail = f"{endpoint}: the prompt was blocked, {blocked}{_ratings(body['promptFeedback'])}"
        raise RecordError(REFUSAL, detail, raw=raw, usage=counted)
    if finish in REFUSED:
        detail = f"{endpoint}: the answer was blocked, {finish}{_ratings(candidate)}"
        raise RecordError(REFUSAL, detail, raw=raw, usage=counted)
    if finish == "MAX_TOKENS":
        if text and not text.isspace():
            return _response(text, "length", usage, model)
        thoughts = f", {usage.thought_tokens} of them on thoughts" if usage is not None else ""
        raise RecordError(
            TRUNCATED,
            f"{endpoint} spent all its tokens before the answer began{thoughts}; raise max_tokens, or set "
            "thinking_level: low",
            raw=raw,
            usage=counted,
        )
    if finish not in FINISHED and text:
        detail = f"{endpoint} broke its answer off: {endpoint.quote(finish)}"
        raise RetryableError(MALFORMED_RESPONSE, detail, raw=raw, usage=counted)
    why = "no candidate" if not candidate else "no text" if finish in FINISHED else f"no text, {finish}"
    raise RetryableError(EMPTY, f"{endpoint} answered with {endpoint.quote(why)}", raw=raw, usage=counted)


def _response(text: str, finish: Any, usage: Usage | None, model: str) -> ChatResponse:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ChatResponse(text=text, finish_reason=finish, usage=usage or Usage(), model=model, created_at=at)


def _usage(counts: Mapping[str, Any] | None) -> Usage | None:
    """Return the tokens of one call; Google counts cached ones to the prompt, and thoughts beside the answer."""
    if not counts:
        return None
    return Usage(
        prompt_tokens=(counts.get("promptTokenCount") or 0) + (counts.get("toolUsePromptTokenCount") or 0),
        cached_tokens=counts.get("cachedContentTokenCount") or 0,
        completion_tokens=counts.get("candidatesTokenCount") or 0,
        thought_tokens=counts.get("thoughtsTokenCount") or 0,
    )


def _ratings(holder: Mapping[str, Any]) -> str:
    """Return the safety categories that blocked, in brackets; nothing if none is named."""
    told = holder.get("safetyRatings")
    ratings = [rating for rating in told if isinstance(rating, dict)] if isinstance(told, list) else []
    named = [
        f"{rating.get('category')} {rating.get('probability')}"
        for rating in ratings
        if rating.get("blocked") or rating.get("probability") in ("HIGH", "MEDIUM")
    ]
    return f" ({', '.join(named)})" if named else ""
