"""A mock of Google's Gemini API, v1beta: exact bodies, cheap, counting, deterministic, and bad when asked to be.

In a test:         async with serving(MockGemini(latency_s=0.05)) as base_url: ...
As a process:      with subprocess_server("--latency", "0.2") as base_url: ...
From a terminal:   python tests/mock_gemini.py --port 8000 --latency 0.2 --log calls.jsonl --fault rate_limit=0.05

`base_url` is what the option `base_url` of the model `gemini` takes, without /v1beta. See `mock_server` for what
can be set and for `/stats`, `/requests` and the log. The same request always gets the same answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from mock_gemini_batches import Batches
from mock_gemini_bodies import (
    INTERNAL_MESSAGE,
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
from mock_server import ANSWERED, QUOTA, MockServer, Seen, hash_of, json_response
from mock_serving import parser, script_server, serve_forever, settings
from mock_serving import serving_at_root as serving

__all__ = ["FAULTS", "MockGemini", "serving", "subprocess_server"]

IN_ANSWER = ("malformed", "no_candidates", "empty", "safety", "blocked", "recitation", "max_tokens")
"""Faults of a reply with status 200."""
OF_SERVER = ("rate_limit", "server_error", "overloaded", "deadline", "hang", "truncated", "broken", "slow")
"""Faults without an answer: `truncated` breaks the body off, `broken` sends one that is no JSON."""
FAULTS = OF_SERVER + IN_ANSWER
ERRORS = {
    "server_error": (500, INTERNAL_MESSAGE, "INTERNAL"),
    "overloaded": (503, "The model is overloaded. Please try again later.", "UNAVAILABLE"),
    "deadline": (504, "Deadline expired before operation could complete.", "DEADLINE_EXCEEDED"),
}


@dataclass
class MockGemini(MockServer):
    """Speaks generateContent and batch jobs.

    Args:
        questions: CSV file with questions that answers are made of where it has the topic, see `QuestionBank`.
        batch_s, batch_faults, batch_metadata: See `Batches`.
    """

    hint_s: float | tuple[float, float] = (0.5, 3.0)
    questions: Path | None = None
    batch_s: float = 0.0
    batch_faults: tuple[str, ...] = ()
    batch_metadata: bool = True

    known_faults = FAULTS
    quota_hint_s = 40.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._bank = QuestionBank(self.questions) if self.questions else None
        self.batches = Batches(self._batch_answer, self.batch_s, self.batch_faults, self.batch_metadata)

    def stats(self) -> dict[str, Any]:
        """Return the counts and the display names of all batch jobs."""
        return {**super().stats(), "jobs": self.batches.made}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        if (report := self.report(request)) is not None:
            return report
        if self.key is not None and (refused := self._check_key(request.headers.get("x-goog-api-key"))):
            return refused
        path = request.path.removeprefix("/v1beta/")
        if path.startswith("batches"):
            return _json(*self.batches.handle(request.method, path, request.query))
        model, method = _asked_for(request)
        if request.method != "POST" or method not in ("generateContent", "batchGenerateContent"):
            return _json(404, error(404, f"Not found: {request.method} {request.path}", "NOT_FOUND"))
        content = await request.read()
        if self.models and model not in self.models:
            return _json(404, unknown_model(model, method))
        if method == "batchGenerateContent":
            return _json(*self.batches.create(model, json.loads(content)))
        return await self.work(request, content)

    def _check_key(self, key: str | None) -> web.Response | None:
        if not key:
            return _json(403, missing_key())
        return None if key == self.key else _json(400, wrong_key())

    def respond(self, request: web.BaseRequest, content: bytes, seen: Seen) -> web.Response:
        """See `MockServer.respond`."""
        model, _ = _asked_for(request)
        if seen.hint_s is not None:
            return _json(429, quota_error(model, seen.hint_s, "Day" if seen.outcome == QUOTA else "Minute"))
        if seen.outcome in ERRORS:
            return _json(ERRORS[seen.outcome][0], error(*ERRORS[seen.outcome]))
        if seen.outcome == "broken":
            return json_response('{"candidates": [{"content": ')
        return _json(*self._answer(model, json.loads(content), seen))

    def _answer(self, model: str, asked: Mapping[str, Any], seen: Seen) -> tuple[int, Any]:
        tokens = prompt_tokens(asked)
        if tokens > self.context_tokens:
            return 400, too_long(tokens, self.context_tokens)
        return 200, reply(
            asked,
            model,
            seen.hash,
            seen.outcome if seen.outcome in IN_ANSWER else None,
            cached_share=self.cached_share,
            thought_tokens=self.thought_tokens,
            bank=self._bank,
        )

    def _batch_answer(self, model: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request of a batch job, which has quotas of its own; faults of the server become its error."""
        seen = self.meet(hash_of(json.dumps(asked).encode()), limited=False)
        self.end(seen, "finished")
        if seen.outcome not in ANSWERED + IN_ANSWER:
            code = 8 if seen.outcome == "rate_limit" else 13
            return {"error": {"code": code, "message": "Internal error encountered."}}
        status, body = self._answer(model, asked, seen)
        if status != 200:
            return {"error": {"code": 3, "message": body["error"]["message"]}}
        return {"response": body}


def _asked_for(request: web.BaseRequest) -> tuple[str, str]:
    """Return the model and the method that stand in the path."""
    model, _, method = request.path.removeprefix("/v1beta/models/").partition(":")
    return model, method


def _json(status: int, body: Any) -> web.Response:
    return json_response(json.dumps(body), status)


def subprocess_server(*arguments: str) -> AbstractContextManager[str]:
    """Serve from another process with these command line arguments; gives the base_url."""
    return script_server(__file__, *arguments)


def main() -> None:
    """Serve until terminated; the first line of stdout is the base_url."""
    options = parser(__doc__, FAULTS)
    options.add_argument("--questions", type=Path, metavar="FILE.csv", help="questions that people wrote, by topic")
    options.add_argument("--batch", type=float, metavar="SECONDS", dest="batch_s")
    options.add_argument("--batch-fault", action="append", dest="batch_faults", help="end of the next job")
    options.add_argument("--no-batch-metadata", action="store_false", dest="batch_metadata")
    port, found = settings(options.parse_args())
    asyncio.run(serve_forever(MockGemini(**found), port))


if __name__ == "__main__":
    main()
