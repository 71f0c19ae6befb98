"""A mock OpenAI-compatible server: cheap, counting, deterministic, and bad when asked to be.

In a test:         async with serving(MockOpenAI(latency_s=0.05)) as base_url: ...
As a process:      with subprocess_server("--latency", "0.2") as base_url: ...
From a terminal:   python tests/mock_openai.py --port 8000 --latency 0.2 --log calls.jsonl --fault rate_limit=0.05

`GET /stats` (beside /v1) tells the counts; the log has a JSON line a started, finished or abandoned
request, written at once, so it outlives a client that is killed, and the server too.
The same messages always get the same answer. Which requests meet a fault depends on the seed and
the request alone, not on the order in which they come.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import reduce
from hashlib import blake2b
from operator import getitem
from pathlib import Path
from typing import Any

from aiohttp import web

FAULTS = ("rate_limit", "server_error", "hang", "truncated", "malformed", "empty", "slow")
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


@dataclass
class MockOpenAI:
    """The server's settings and counts.

    Args:
        latency_s: Seconds before every answer.
        log: File that events are appended to.
        key: API key to demand; None lets everyone in.
        models: Names to serve; empty serves any name.
        faults: Share of requests, 0..1, that meet each of `FAULTS`.
        faults_per_request: How often at most the same request meets a fault before it is served.
        slow_s: Seconds that a `slow` answer takes.
        retry_after_s: What a `rate_limit` fault asks the client to wait.
        context_chars: Longest prompt before a request is refused as too long.
    """

    latency_s: float = 0.0
    log: Path | None = None
    key: str | None = None
    models: tuple[str, ...] = ()
    faults: Mapping[str, float] = field(default_factory=dict)
    faults_per_request: int = 2
    slow_s: float = 2.0
    retry_after_s: float = 0.05
    context_chars: int = 1_000_000
    seed: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    """Requests started, by hash."""
    served: Counter[str] = field(default_factory=Counter)
    """Requests started that met no fault, by hash: more than 1 means a call was made again for nothing."""
    ends: Counter[str] = field(default_factory=Counter)
    """Requests ended: 'finished' to the last byte, or 'abandoned' by the client."""

    def __post_init__(self) -> None:
        unknown = set(self.faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}; known: {', '.join(FAULTS)}")
        self._log = self.log.open("ab", buffering=0) if self.log else None

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def stats(self) -> dict[str, Any]:
        """Return the counts; `repeated` has the hashes served more than once."""
        started = self.tries.total()
        return {
            "started": started,
            **{end: self.ends[end] for end in ("finished", "abandoned")},
            "in_flight": started - self.ends.total(),
            "unique": len(self.tries),
            "faults": started - self.served.total(),
            "repeated": {key: count for key, count in self.served.items() if count > 1},
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        if request.path == "/stats":
            return web.json_response(self.stats())
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key")
        if request.path == "/v1/models":
            models = [{"id": name, "object": "model", "created": 0, "owned_by": "mock"} for name in self.models]
            return web.json_response({"object": "list", "data": models})
        if request.path != "/v1/chat/completions" or request.method != "POST":
            return _error(404, f"Invalid URL ({request.method} {request.path})", "invalid_request_error")
        return await self._chat(request, await request.read())

    async def _chat(self, request: web.BaseRequest, content: bytes) -> web.StreamResponse:
        key = blake2b(content, digest_size=8).hexdigest()
        self._tell(key, "started")
        self.tries[key] += 1
        end = "abandoned"
        try:
            fault = self._fault(key)
            if fault is None or fault == "slow":
                self.served[key] += 1
            await asyncio.sleep({"slow": self.slow_s, "hang": 1e6}.get(fault or "", self.latency_s))
            response = await self._respond(request, content, fault)
            end = "finished"
        finally:
            self.ends[end] += 1
            self._tell(key, end)
        return response

    def _tell(self, key: str, event: str) -> None:
        if self._log is not None:
            self._log.write(f'{{"hash":"{key}","event":"{event}","time":{time.time():.6f}}}\n'.encode())

    def _fault(self, key: str) -> str | None:
        """Return the fault that this try meets: a fixed function of seed, request and number of the try."""
        if not self.faults or self.tries[key] > self.faults_per_request:
            return None
        digest = blake2b(f"{self.seed} {key} {self.tries[key]}".encode(), digest_size=8).digest()
        point = int.from_bytes(digest, "big") / 2**64
        for fault, share in self.faults.items():
            if point < share:
                return fault
            point -= share
        return None

    async def _respond(self, request: web.BaseRequest, content: bytes, fault: str | None) -> web.StreamResponse:
        if fault == "rate_limit":
            response = _error(429, "Rate limit reached for requests.", "requests", "rate_limit_exceeded")
            response.headers["Retry-After"] = f"{self.retry_after_s:g}"
        elif fault == "server_error":
            response = _error(500, "The server had an error while processing your request.", "server_error")
        else:
            response = self._completion(json.loads(content), fault)
        if fault == "truncated":
            return await _break_off(request, response)
        await response.prepare(request)
        await response.write_eof()
        return response

    def _completion(self, asked: dict[str, Any], fault: str | None) -> web.Response:
        model, messages = asked["model"], asked["messages"]
        if self.models and model not in self.models:
            said = f"The model `{model}` does not exist or you do not have access to it."
            return _error(404, said, "invalid_request_error", "model_not_found")
        prompt_chars = sum(len(message["content"]) for message in messages)
        if prompt_chars > self.context_chars:
            said = f"This model's maximum context length is {self.context_chars} tokens."
            return _error(400, said, "invalid_request_error", "context_length_exceeded", "messages")
        text = "" if fault == "empty" else answer(messages, asked.get("response_format"))
        if fault == "malformed":
            text = '{"answer": "' + text[: len(text) // 2].replace('"', "")
        most_chars = CHARS_PER_TOKEN * asked.get("max_tokens", len(text))
        finish = "stop" if len(text) <= most_chars else "length"
        text = text[:most_chars]
        prompt_tokens, completion_tokens = prompt_chars // CHARS_PER_TOKEN, len(text) // CHARS_PER_TOKEN
        # Written out by hand: at thousands of requests a second the encoder would cost more than the rest.
        return _json(
            f'{{"id":"chatcmpl-mock","object":"chat.completion","created":{time.time():.0f},"model":{json.dumps(model)},'
            f'"choices":[{{"index":0,"message":{{"role":"assistant","content":{json.dumps(text)},"refusal":null}},'
            f'"logprobs":null,"finish_reason":"{finish}"}}],"usage":{{"prompt_tokens":{prompt_tokens},'
            f'"completion_tokens":{completion_tokens},"total_tokens":{prompt_tokens + completion_tokens}}}}}'
        )


async def _break_off(request: web.BaseRequest, response: web.Response) -> web.StreamResponse:
    """Send the first half of a response, then close the connection."""
    body = response.body
    assert isinstance(body, bytes) and request.transport is not None
    half = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    request.transport.close()
    return half


def _json(body: str, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body.encode(), content_type="application/json")


def _error(status: int, message: str, kind: str, code: str | None = None, param: str | None = None) -> web.Response:
    """Return an error as OpenAI words it."""
    return _json(json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}), status)


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
    # Cancelled when the client goes away, so that an abandoned request is seen at once.
    server = web.Server(mock.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()
        mock.close()


@contextmanager
def subprocess_server(*arguments: str) -> Iterator[str]:
    """Serve from another process with these command line arguments; gives the base_url."""
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        try:
            if not base_url:
                raise RuntimeError(f"the mock server did not start: {' '.join(command)}")
            yield base_url
        finally:
            process.terminate()


def main() -> None:
    """Serve until terminated; the first line of stdout is the base_url."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", dest="latency_s")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--key")
    parser.add_argument("--model", action="append", default=[], dest="models", help="serve only these names")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE", help=", ".join(FAULTS))
    parser.add_argument("--faults-per-request", type=int, default=2)
    parser.add_argument("--slow", type=float, default=2.0, metavar="SECONDS", dest="slow_s")
    parser.add_argument("--retry-after", type=float, default=0.05, metavar="SECONDS", dest="retry_after_s")
    parser.add_argument("--context-chars", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    settings = vars(parser.parse_args())
    port, faults = settings.pop("port"), settings.pop("fault")
    settings["faults"] = {name: float(share) for name, _, share in (fault.partition("=") for fault in faults)}
    asyncio.run(_serve_forever(MockOpenAI(**settings), port))


async def _serve_forever(mock: MockOpenAI, port: int) -> None:
    async with serving(mock, port) as base_url:
        print(base_url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
