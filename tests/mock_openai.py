"""A mock OpenAI-compatible server: cheap, counting, deterministic, and bad when asked to be.

In a test:         async with serving(MockOpenAI(latency_s=0.05)) as base_url: ...
As a process:      with subprocess_server("--latency", "0.2") as base_url: ...
From a terminal:   python tests/mock_openai.py --port 8000 --latency 0.2 --log calls.jsonl --fault rate_limit=0.05

Chat completions, embeddings and the list of models under /v1; see `mock_server` for what can be set
and for `/stats`, `/requests` and the log. The same messages always get the same answer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import reduce
from hashlib import blake2b
from operator import getitem
from typing import Any

from aiohttp import web
from mock_server import QUOTA, RPM, MockServer, Seen, json_response
from mock_serving import parser, script_server, serve_forever, serving_at_root, settings

FAULTS = (
    "rate_limit",
    "overloaded",
    "server_error",
    "hang",
    "truncated",
    "malformed",
    "empty",
    "refusal",
    "slow",
)
"""`truncated` replies break off on their way; in `malformed` ones the answer is no whole JSON."""
CHARS_PER_TOKEN = 2
ANY_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}}
OPENINGS = (
    "현장에서 보면",
    "결론부터 말씀드리면",
    "대부분의 물류센터에서는",
    "저희 컨설팅 경험으로는",
    "순서대로 설명드리면",
)
ADVICE = (
    "먼저 작업 기준을 정하고 바코드 스캔으로 확인하는 것이 좋습니다.",
    "로케이션과 재고 수량을 시스템에 바로 반영해야 오차가 줄어듭니다.",
    "담당자를 지정하고 매일 마감 전에 예외 목록을 점검해야 합니다.",
    "출고 빈도가 높은 상품부터 가까운 구역에 배치하면 이동 거리가 짧아집니다.",
    "연동 오류는 재전송 목록에서 원인 코드를 확인한 뒤 처리하면 됩니다.",
)
DIMENSIONS = 64
DAY_S = 86_400


class MockOpenAI(MockServer):
    """Speaks chat completions and embeddings."""

    known_faults = FAULTS

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        if (report := self.report(request)) is not None:
            return report
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        if request.path == "/v1/models":
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "mock"} for name in self.models]
            return web.json_response({"object": "list", "data": models})
        if request.path not in ("/v1/chat/completions", "/v1/embeddings") or request.method != "POST":
            return _error(404, f"Invalid URL ({request.method} {request.path})", "invalid_request_error")
        return await self.work(request, await request.read())

    def respond(self, request: web.BaseRequest, content: bytes, seen: Seen) -> web.Response:
        """See `MockServer.respond`."""
        if seen.outcome in ("rate_limit", RPM):
            assert seen.hint_s is not None
            headers = {
                "retry-after": str(math.ceil(seen.hint_s)),
                "retry-after-ms": f"{1000 * seen.hint_s:.0f}",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": f"{seen.hint_s:.3f}s",
            }
            return _error(429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded", headers=headers)
        if seen.outcome == QUOTA:
            said = (
                f"Rate limit reached for mock in organization org-mock on requests per day (RPD): Limit "
                f"{self.requests_per_day}, Used {self.requests_per_day}, Requested 1. Please try again in 24h0m0s."
            )
            headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "24h0m0s"}
            return _error(429, said, "requests", "rate_limit_exceeded", headers=headers)
        if seen.outcome == "overloaded":
            return _error(503, "The engine is currently overloaded, please try again later.", "service_unavailable")
        if seen.outcome == "server_error":
            return _error(500, "The server had an error while processing your request.", "server_error")
        asked = json.loads(content)
        if self.models and asked["model"] not in self.models:
            said = f"The model `{asked['model']}` does not exist or you do not have access to it."
            return _error(404, said, "invalid_request_error", "model_not_found")
        texts = _texts(asked)
        prompt_tokens = sum(map(len, texts)) // CHARS_PER_TOKEN
        if prompt_tokens > self.context_tokens:
            said = f"This model's maximum context length is {self.context_tokens} tokens."
            return _error(400, said, "invalid_request_error", "context_length_exceeded", "messages")
        if "input" in asked:
            return _embeddings(asked, texts[: -1 if seen.outcome in ("malformed", "empty") else None], prompt_tokens)
        return self._completion(asked, seen.outcome, prompt_tokens)

    def _completion(self, asked: dict[str, Any], outcome: str, prompt_tokens: int) -> web.Response:
        text = answer(asked["messages"], asked.get("response_format"))
        if outcome in ("empty", "refusal"):
            text = ""
        if outcome == "malformed":
            text = '{"answer": "' + text[: len(text) // 2].replace('"', "")
        most_chars = len(text)
        if (max_tokens := asked.get("max_tokens", asked.get("max_completion_tokens"))) is not None:
            most_chars = CHARS_PER_TOKEN * max(0, max_tokens - self.thought_tokens)
        finish = "stop" if len(text) <= most_chars else "length"
        if outcome == "refusal":
            finish = "content_filter"
        text = text[:most_chars]
        thought_tokens = min(self.thought_tokens, self.thought_tokens if max_tokens is None else max_tokens)
        completion_tokens = thought_tokens + len(text) // CHARS_PER_TOKEN
        cached_tokens = int(self.cached_share * prompt_tokens)
        # Written out by hand: at thousands of requests a second the encoder would cost more than the rest.
        return json_response(
            f'{{"id":"chatcmpl-mock","object":"chat.completion","created":{time.time():.0f},'
            f'"model":{json.dumps(asked["model"])},'
            f'"choices":[{{"index":0,"message":{{"role":"assistant","content":{json.dumps(text)},"refusal":null}},'
            f'"logprobs":null,"finish_reason":"{finish}"}}],"usage":{{"prompt_tokens":{prompt_tokens},'
            f'"completion_tokens":{completion_tokens},"total_tokens":{prompt_tokens + completion_tokens},'
            f'"prompt_tokens_details":{{"cached_tokens":{cached_tokens}}},'
            f'"completion_tokens_details":{{"reasoning_tokens":{thought_tokens}}}}}}}'
        )


def _texts(asked: Mapping[str, Any]) -> list[str]:
    if "input" in asked:
        return [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    return [message["content"] for message in asked["messages"]]


def _embeddings(asked: Mapping[str, Any], texts: Sequence[str], prompt_tokens: int) -> web.Response:
    dimensions = asked.get("dimensions", DIMENSIONS)
    data = []
    for index, text in enumerate(texts):
        vector: Any = embedding(text, dimensions)
        if asked.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    usage = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
    return json_response(json.dumps({"object": "list", "data": data, "model": asked["model"], "usage": usage}))


def embedding(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Return the vector of a text, which is no unit vector: texts that share pairs of letters lie close together."""
    vector = [0.0] * dimensions
    for pair in zip(f" {text}", f"{text} ", strict=True):
        digest = int.from_bytes(blake2b("".join(pair).encode(), digest_size=8).digest(), "big")
        vector[digest // 2 % dimensions] += 1.0 if digest % 2 else -1.0
    return vector


def _error(
    status: int,
    message: str,
    kind: str,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return an error as OpenAI words it."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json_response(json.dumps({"error": error}), status, headers)


def answer(messages: Sequence[Mapping[str, str]], response_format: Mapping[str, Any] | None = None) -> str:
    """Return the answer to these messages: always the same one, in the form that was asked for."""
    digest = blake2b(str(messages).encode(), digest_size=8).digest()
    quote = " ".join(messages[-1]["content"][-60:].split())
    text = (
        f"{OPENINGS[digest[0] % len(OPENINGS)]}, ‘{quote}’에 대한 답은 다음과 같습니다. "
        f"{ADVICE[digest[1] % len(ADVICE)]} {ADVICE[digest[2] % len(ADVICE)]} "
        f"이 기준은 하루 {100 + digest[3] * 256 + digest[4]}건 규모까지 적용할 수 있습니다."
    )
    if response_format is None:
        return text
    schema = response_format["json_schema"]["schema"] if "json_schema" in response_format else ANY_OBJECT
    return json.dumps(example(schema, text, schema), ensure_ascii=False)


def example(schema: Mapping[str, Any], text: str, root: Mapping[str, Any], place: str = "") -> Any:
    """Return a value of this JSON schema; its texts are `text` after their place, so that no two are alike."""
    if "$ref" in schema:
        return example(reduce(getitem, schema["$ref"].split("/")[1:], root), text, root, place)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], text, root, place)
    kind = schema.get("type", "string")
    if kind == "object":
        names = schema.get("properties", {})
        return {name: example(part, text, root, f"{place}{name} ") for name, part in names.items()}
    if kind == "array":
        count = schema.get("minItems") or min(3, schema.get("maxItems", 3))
        return [example(schema["items"], text, root, f"{place}{number}번 ") for number in range(1, count + 1)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    return {"boolean": True, "null": None}.get(kind, f"{place}{text}"[: schema.get("maxLength")])


@asynccontextmanager
async def serving(mock: MockOpenAI, port: int = 0) -> AsyncIterator[str]:
    """Serve in this event loop; gives the base_url, ending in /v1."""
    async with serving_at_root(mock, port) as address:
        yield f"{address}/v1"


def subprocess_server(*arguments: str) -> AbstractContextManager[str]:
    """Serve from another process with these command line arguments; gives the base_url."""
    return script_server(__file__, *arguments)


def main() -> None:
    """Serve until terminated; the first line of stdout is the base_url."""
    port, found = settings(parser(__doc__, FAULTS).parse_args())
    asyncio.run(serve_forever(MockOpenAI(**found), port, "/v1"))


if __name__ == "__main__":
    main()
