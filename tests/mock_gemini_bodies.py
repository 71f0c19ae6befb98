"""The bodies of the fake Gemini server: replies and errors word for word as Google's API v1beta sends them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

from mock_gemini_questions import QuestionBank
from mock_openai import CHARS_PER_TOKEN, answer

SUBJECTS = (
    "입고 검수",
    "피킹 동선",
    "재고 실사",
    "로케이션 관리",
    "출고 마감",
    "반품 처리",
    "유통기한 관리",
    "크로스도킹",
)
SITUATIONS = (
    "하루 {n}건을 처리하는 센터에서",
    "작업자가 {n}명뿐인 창고에서",
    "상품이 {n}종을 넘어가면",
    "성수기에 물량이 {n} % 늘면",
    "거래처가 {n}곳으로 늘어난 뒤에",
)
WISHES = (
    "오류를 줄이려면 무엇부터 바꿔야 하나요?",
    "시간을 얼마나 줄일 수 있나요?",
    "담당자를 어떻게 나누는 것이 좋을까요?",
    "어떤 기준으로 우선순위를 정하나요?",
    "기존 ERP와는 어떻게 맞추나요?",
    "현장 직원 교육은 어떻게 시작하나요?",
)


def question(seed: bytes, number: int) -> str:
    """Return a Korean question, another one for each seed and number."""
    digest = blake2b(seed + bytes([number]), digest_size=8).digest()
    situation = SITUATIONS[digest[1] % len(SITUATIONS)].format(n=10 + int.from_bytes(digest[3:6], "big") % 90_000)
    return f"{situation} {SUBJECTS[digest[0] % len(SUBJECTS)]} {WISHES[digest[2] % len(WISHES)]}"


def answer_text(asked: Mapping[str, Any], bank: QuestionBank | None) -> str:
    """Return the answer to a request's body: always the same one, of its schema if it holds one.

    Its questions come from the bank if that has the topic, otherwise and without one they are put together.
    """
    messages = [{"role": turn.get("role", "user"), "content": _text(turn)} for turn in asked["contents"]]
    if "systemInstruction" in asked:
        messages.insert(0, {"role": "system", "content": _text(asked["systemInstruction"])})
    config = asked.get("generationConfig", {})
    if config.get("responseMimeType") != "application/json":
        return answer(messages)
    schema = config.get("responseJsonSchema") or _lowered(config.get("responseSchema"))
    wanted = {"json_schema": {"schema": schema}} if schema else {"type": "json_object"}
    value = json.loads(answer(messages, wanted))
    seed = json.dumps(messages).encode()
    holders = list(_holders(value))
    for number, holder in enumerate(holders):
        holder["question"] = question(seed, number % 256)
    if bank is not None:
        system = messages[0]["content"] if messages[0]["role"] == "system" else ""
        bank.fill(holders, system, messages[-1]["content"], seed)
    return json.dumps(value, ensure_ascii=False)


def _text(turn: Mapping[str, Any]) -> str:
    return "".join(part.get("text", "") for part in turn["parts"])


def _lowered(schema: Any) -> Any:
    """Return a `responseSchema` as JSON schema: its types are written OBJECT, its counts may be text."""
    if isinstance(schema, list):
        return [_lowered(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    lowered = {name: _lowered(part) for name, part in schema.items()}
    if isinstance(schema.get("type"), str):
        lowered["type"] = schema["type"].lower()
    for name in ("minItems", "maxItems", "maxLength"):
        if name in schema:
            lowered[name] = int(schema[name])
    return lowered


def _holders(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object with a text under `question`."""
    if isinstance(value, dict):
        if isinstance(value.get("question"), str):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _holders(part)


def prompt_tokens(asked: Mapping[str, Any]) -> int:
    """Return the tokens that a request's body is counted as."""
    turns = [*asked["contents"], *([asked["systemInstruction"]] if "systemInstruction" in asked else [])]
    return max(1, sum(len(_text(turn)) for turn in turns) // CHARS_PER_TOKEN)


def reply(
    asked: Mapping[str, Any],
    model: str,
    key: str,
    fault: str | None,
    *,
    cached_share: float,
    thought_tokens: int,
    bank: QuestionBank | None = None,
) -> Any:
    """Return the body of a GenerateContentResponse.

    Args:
        fault: What is wrong with the answer, None if nothing is.
        cached_share: Share of the prompt that counts as cached.
        thought_tokens: What the model thinks before it answers; they count to the limit, as Google's do.
        bank: Where questions come from.
    """
    prompt = prompt_tokens(asked)
    usage = {"promptTokenCount": prompt, "totalTokenCount": prompt}
    if int(prompt * cached_share):
        usage["cachedContentTokenCount"] = int(prompt * cached_share)
    body: dict[str, Any] = {"usageMetadata": usage, "modelVersion": model, "responseId": key}
    if fault == "blocked":
        rating = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}
        return {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": [rating]}, **body}
    if fault == "no_candidates":
        return body
    text, finish = answer_text(asked, bank), "STOP"
    limit = asked.get("generationConfig", {}).get("maxOutputTokens", 65_536)
    if fault == "max_tokens":
        thought_tokens = limit
    room = max(0, limit - thought_tokens) * CHARS_PER_TOKEN
    if len(text) > room:
        text, finish = text[:room], "MAX_TOKENS"
    if fault == "malformed":
        text = text[: len(text) // 2] if text.startswith("{") else '{"answer": "' + text[: len(text) // 2]
    if fault in ("empty", "safety", "recitation"):
        text = ""
    candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if fault == "safety":
        finish = "SAFETY"
        rating = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}
        candidate["safetyRatings"] = [rating]
    if fault == "recitation":
        finish = "RECITATION"
    if not text:
        candidate["content"] = {"role": "model"}
    candidate["finishReason"] = finish
    if text:
        usage["candidatesTokenCount"] = max(1, len(text) // CHARS_PER_TOKEN)
    if thought_tokens:
        usage["thoughtsTokenCount"] = thought_tokens
    usage["totalTokenCount"] = prompt + usage.get("candidatesTokenCount", 0) + thought_tokens
    return {"candidates": [candidate], **body}


def error(code: int, message: str, status: str, *details: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of an error."""
    inner: dict[str, Any] = {"code": code, "message": message, "status": status}
    if details:
        inner["details"] = list(details)
    return {"error": inner}


QUOTA_MESSAGE = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)
INTERNAL_MESSAGE = (
    "An internal error has occurred. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting"
)
HELP = {
    "@type": "type.googleapis.com/google.rpc.Help",
    "links": [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }
    ],
}


def quota_error(model: str, hint_s: float, per: str) -> dict[str, Any]:
    """Return a 429; `per` is Day or Minute. Google sends a RetryInfo with both."""
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "20",
    }
    failure = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
    return error(429, QUOTA_MESSAGE, "RESOURCE_EXHAUSTED", failure, HELP, retry_info(hint_s))


def retry_info(hint_s: float) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{hint_s:.9f}".rstrip("0") + "s"}


def wrong_key() -> dict[str, Any]:
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return error(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", info)


def missing_key() -> dict[str, Any]:
    message = (
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
        "other form of API consumer identity to call this API."
    )
    return error(403, message, "PERMISSION_DENIED")


def unknown_model(model: str, method: str) -> dict[str, Any]:
    message = (
        f"models/{model} is not found for API version v1beta, or is not supported for {method}. Call ListModels to "
        "see the list of available models and their supported methods."
    )
    return error(404, message, "NOT_FOUND")


def too_long(tokens: int, most: int) -> dict[str, Any]:
    message = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({most})."
    return error(400, message, "INVALID_ARGUMENT")
