"""A mock of Google's Gemini API, v1beta: exact bodies, cheap, counting, deterministic, and bad when asked to be.

In a test:         async with serving(MockGemini(latency_s=0.05)) as base_url: ...
As a process:      with subprocess_server("--latency", "0.2") as base_url: ...
From a terminal:   python tests/mock_gemini.py --port 8000 --latency 0.2 --log calls.jsonl --fault rate_limit=0.05

`base_url` is what the option `base_url` of the model `gemini` takes, without /v1beta. `GET /stats` tells the
counts. The log has a JSON line a started, finished or abandoned request with its outcome and the wait it was asked
for, written at once, so it outlives a client that is killed, and the server too. The same request always gets the
same answer. Which requests meet a fault depends on the seed, the request and the number of its try alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from aiohttp import web
from mock_gemini_batches import Batches
from mock_gemini_bodies import (
    error,
    missing_key,
    prompt_tokens,
    quota_error,
    reply,
    too_long,
    unknown_model,
    wrong_key,
)
from mock_gemini_questions import QuestionBank

IN_ANSWER = ("malformed", "no_candidates", "empty", "safety", "blocked", "recitation", "max_tokens")
"""Faults of a reply with status 200."""
OF_SERVER = ("rate_limit", "server_error", "overloaded", "deadline", "hang", "truncated", "broken", "slow")
"""Faults without an answer: `truncated` breaks the body off, `broken` sends one that is no JSON."""
FAULTS = OF_SERVER + IN_ANSWER
UNSERVED = {"rate_limit", "server_error", "overloaded", "deadline", "quota", "rpm"}


@dataclass
class MockGemini:
    """The server's settings and counts.

    Args:
        latency_s: Seconds before every answer.
        log: File that events are appended to.
        key: API key to demand; None lets everyone in.
        models: Names to serve; empty serves any name.
        faults: Share of requests, 0..1, that meet each of `FAULTS`.
        faults_per_request: How often at most the same request meets a fault before it is served.
        slow_s: Seconds that a `slow` answer takes.
        hint_s: Range of what a `rate_limit` fault asks to wait, in its RetryInfo.
        requests_per_minute: Served in any 60 seconds; more get a 429 that says when the next one may come.
        requests_per_day: Served in all; more get a 429 of the day's quota.
        context_tokens: Longest prompt before a request is refused as too long.
        cached: Share of each prompt that is counted as cached.
        thoughts: Tokens that are thought before each answer.
        questions: CSV file with questions that answers are made of where it has the topic, see `QuestionBank`.
        batch_s, batch_faults, batch_metadata: See `Batches`.
    """

    latency_s: float = 0.0
    log: Path | None = None
    key: str | None = None
    models: tuple[str, ...] = ()
    faults: Mapping[str, float] = field(default_factory=dict)
    faults_per_request: int = 2
    slow_s: float = 2.0
    hint_s: tuple[float, float] = (0.5, 3.0)
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    context_tokens: int = 1_048_576
    cached: float = 0.0
    thoughts: int = 0
    questions: Path | None = None
    batch_s: float = 0.0
    batch_faults: tuple[str, ...] = ()
    batch_metadata: bool = True
    seed: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    """Requests started, by hash."""
    served: Counter[str] = field(default_factory=Counter)
    """Requests that got the answer asked for, by hash: more than 1 means a call was made again for nothing."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Requests finished, by the fault they met; 'ok' without one."""
    early: list[tuple[str, float]] = field(default_factory=list)
    """(hash, seconds) of requests that came again so long before the wait they had been asked for was over."""
    ends: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        unknown = set(self.faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}; known: {', '.join(FAULTS)}")
        self._log = self.log.open("ab", buffering=0) if self.log else None
        self._not_before: dict[str, float] = {}
        self._minute: deque[float] = deque()
        self._day = 0
        self._bank = QuestionBank(self.questions) if self.questions else None
        self.batches = Batches(self._batch_answer, self.batch_s, self.batch_faults, self.batch_metadata)

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def stats(self) -> dict[str, Any]:
        """Return the counts; `repeated` has the hashes served more than once, `early` the retries before their hint."""
        started = self.tries.total()
        return {
            "started": started,
            **{end: self.ends[end] for end in ("finished", "abandoned")},
            "in_flight": started - self.ends.total(),
            "unique": len(self.tries),
            "served": len(self.served),
            "outcomes": dict(self.outcomes),
            "repeated": {key: count for key, count in self.served.items() if count > 1},
            "early": self.early,
            "jobs": self.batches.made,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        if request.path == "/stats":
            return web.json_response(self.stats())
        if self.key is not None and (refused := self._check_key(request.headers.get("x-goog-api-key"))):
            return refused
        path = request.path.removeprefix("/v1beta/")
        model, _, method = path.removeprefix("models/").partition(":")
        if path.startswith("batches"):
            return _json(*self.batches.handle(request.method, path, request.query))
        if request.method != "POST" or method not in ("generateContent", "batchGenerateContent"):
            return _json(404, error(404, f"Not found: {request.method} {request.path}", "NOT_FOUND"))
        content = await request.read()
        if self.models and model not in self.models:
            return _json(404, unknown_model(model, method))
        if method == "batchGenerateContent":
            return _json(*self.batches.create(model, json.loads(content)))
        return await self._generate(request, model, content)

    def _check_key(self, key: str | None) -> web.Response | None:
        if not key:
            return _json(403, missing_key())
        return None if key == self.key else _json(400, wrong_key())

    async def _generate(self, request: web.BaseRequest, model: str, content: bytes) -> web.StreamResponse:
        key = blake2b(model.encode() + content, digest_size=8).hexdigest()
        self._arrive(key)
        end = "abandoned"
        fault = hint = None
        try:
            fault, hint = self._refusal() or self._fault(key)
            if fault is None or fault == "slow":
                self.served[key] += 1
            if fault not in UNSERVED:
                await asyncio.sleep({"slow": self.slow_s, "hang": 1e6}.get(fault or "", self.latency_s))
            response = await self._respond(request, model, content, key, fault, hint)
            end = "finished"
            self.outcomes[fault or "ok"] += 1
        finally:
            self.ends[end] += 1
            self._tell(key, end, fault, hint)
        return response

    def _arrive(self, key: str) -> None:
        self.tries[key] += 1
        wait = self._not_before.pop(key, 0.0) - time.monotonic()
        if wait > 0:
            self.early.append((key, wait))
        self._tell(key, "started", None, None)

    def _tell(self, key: str, event: str, fault: str | None, hint_s: float | None) -> None:
        if self._log is not None:
            more = f',"outcome":"{fault or "ok"}"' if event == "finished" else ""
            more += f',"hint_s":{hint_s:.6f}' if hint_s is not None else ""
            self._log.write(f'{{"hash":"{key}","event":"{event}","time":{time.time():.6f}{more}}}\n'.encode())

    def _refusal(self) -> tuple[str, float] | None:
        """Return a quota that is used up and its hint."""
        if self.requests_per_day is not None:
            if self._day >= self.requests_per_day:
                return "quota", 40.0
            self._day += 1
        if self.requests_per_minute is not None:
            now = time.monotonic()
            while self._minute and self._minute[0] <= now - 60:
                self._minute.popleft()
            if len(self._minute) >= self.requests_per_minute:
                return "rpm", self._minute[0] + 60 - now
            self._minute.append(now)
        return None

    def _fault(self, key: str) -> tuple[str | None, float | None]:
        """Return the fault that this try meets and its hint: fixed by seed, request and number of the try."""
        if not self.faults or self.tries[key] > self.faults_per_request:
            return None, None
        digest = blake2b(f"{self.seed} {key} {self.tries[key]}".encode(), digest_size=16).digest()
        point, hint = (int.from_bytes(half, "big") / 2**64 for half in (digest[:8], digest[8:]))
        for fault, share in self.faults.items():
            if point < share:
                least, most = self.hint_s
                return fault, round(least + hint * (most - least), 3) if fault == "rate_limit" else None
            point -= share
        return None, None

    async def _respond(
        self,
        request: web.BaseRequest,
        model: str,
        content: bytes,
        key: str,
        fault: str | None,
        hint_s: float | None,
    ) -> web.StreamResponse:
        if hint_s is not None:
            response = _json(429, quota_error(model, hint_s, "Day" if fault == "quota" else "Minute"))
            self._not_before[key] = time.monotonic() + hint_s
        elif fault == "server_error":
            message = "An internal error has occurred. Please retry or report in "
            response = _json(
                500, error(500, message + "https://developers.generativeai.google/guide/troubleshooting", "INTERNAL")
            )
        elif fault == "overloaded":
            response = _json(503, error(503, "The model is overloaded. Please try again later.", "UNAVAILABLE"))
        elif fault == "deadline":
            message = "Deadline expired before operation could complete."
            response = _json(504, error(504, message, "DEADLINE_EXCEEDED"))
        elif fault == "broken":
            response = web.Response(body=b'{"candidates": [{"content": ', content_type="application/json")
        else:
            response = _json(*self._answer(model, json.loads(content), key, fault if fault in IN_ANSWER else None))
        if fault == "truncated":
            return await _break_off(request, response)
        await response.prepare(request)
        await response.write_eof()
        return response

    def _answer(self, model: str, asked: dict[str, Any], key: str, fault: str | None) -> tuple[int, Any]:
        tokens = prompt_tokens(asked)
        if tokens > self.context_tokens:
            return 400, too_long(tokens, self.context_tokens)
        return 200, reply(asked, model, key, fault, cached=self.cached, thoughts=self.thoughts, bank=self._bank)

    def _batch_answer(self, model: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request of a batch job; faults of the server become its error."""
        key = blake2b(json.dumps(asked).encode(), digest_size=8).hexdigest()
        self.tries[key] += 1
        fault, _ = self._fault(key)
        self.outcomes[fault or "ok"] += 1
        self.ends["finished"] += 1
        if fault is None:
            self.served[key] += 1
        elif fault not in IN_ANSWER:
            code = 8 if fault == "rate_limit" else 13
            return {"error": {"code": code, "message": "Internal error encountered."}}
        status, body = self._answer(model, dict(asked), key, fault)
        if status != 200:
            return {"error": {"code": 3, "message": body["error"]["message"]}}
        return {"response": body}


async def _break_off(request: web.BaseRequest, response: web.Response) -> web.StreamResponse:
    """Send the first half of a response, then close the connection."""
    body = response.body
    assert isinstance(body, bytes) and request.transport is not None
    half = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    request.transport.close()
    return half


def _json(status: int, body: Any) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


@asynccontextmanager
async def serving(mock: MockGemini, port: int = 0) -> AsyncIterator[str]:
    """Serve in this event loop; gives the base_url."""
    # Cancelled when the client goes away, so that an abandoned request is seen at once.
    server = web.Server(mock.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
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
    parser.add_argument("--hint", type=float, nargs=2, default=[0.5, 3.0], metavar=("LEAST", "MOST"), dest="hint_s")
    parser.add_argument("--requests-per-minute", type=int)
    parser.add_argument("--requests-per-day", type=int)
    parser.add_argument("--context-tokens", type=int, default=1_048_576)
    parser.add_argument("--cached", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--thoughts", type=int, default=0, metavar="TOKENS")
    parser.add_argument("--questions", type=Path, metavar="FILE.csv", help="questions that people wrote, by topic")
    parser.add_argument("--batch", type=float, default=0.0, metavar="SECONDS", dest="batch_s")
    parser.add_argument("--batch-fault", action="append", default=[], dest="batch_faults", help="end of the next job")
    parser.add_argument("--no-batch-metadata", action="store_false", dest="batch_metadata")
    parser.add_argument("--seed", type=int, default=0)
    settings = vars(parser.parse_args())
    port, faults = settings.pop("port"), settings.pop("fault")
    settings["faults"] = {name: float(share) for name, _, share in (fault.partition("=") for fault in faults)}
    for name in ("models", "hint_s", "batch_faults"):
        settings[name] = tuple(settings[name])
    asyncio.run(_serve_forever(MockGemini(**settings), port))


async def _serve_forever(mock: MockGemini, port: int) -> None:
    async with serving(mock, port) as base_url:
        print(base_url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
