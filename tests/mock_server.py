"""What our mock servers share: counting, deterministic misbehaviour, a hidden capacity, quotas, a log.

A server is a `MockServer` with its own `handle`, which passes requests that cost something to `work`,
and its own `respond`; `mock_serving` starts it. Which requests meet a fault, and what wait they are
told, depends on the seed, the request's bytes and the number of the try alone, not on the order in
which requests come.

`GET /stats` tells the counts, `GET /requests` every request: when it came, what it met, what wait it was told.
The log has a JSON line a started, finished or abandoned request with the same facts, written at once,
so it outlives a client that is killed, and the server too.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web

OK = "ok"
QUOTA = "quota"
"""Outcome of a request beyond `requests_per_day`."""
RPM = "rpm"
"""Outcome of a request beyond `requests_per_minute`."""
AT_ONCE = ("rate_limit", "overloaded", QUOTA, RPM)
"""A server that turns a request away does so without working on it."""
ANSWERED = (OK, "slow")


@dataclass(slots=True)
class Seen:
    """One request as the server saw it; times are seconds of one clock that never goes back."""

    hash: str
    number: int
    """Of the try, from 1."""
    came: float
    outcome: str
    """`ok`, the fault it met, `quota` or `rpm`; known from the start, so of abandoned requests too."""
    hint_s: float | None = None
    """The wait that the reply asks for."""
    told: float | None = None
    """When the reply was written, None if the client went away before."""


@dataclass
class MockServer:
    """The settings and counts of a server.

    Args:
        latency_s: Seconds of work on every answer.
        capacity: Requests that are worked on at once; the others queue, so that answers come later. None: any number.
        log: File that events are appended to.
        key: API key to demand; None lets everyone in.
        models: Names to serve; empty serves any name.
        faults: Share of requests, 0..1, that meet each of `known_faults`.
        faults_per_request: How often at most the same request meets a fault before it is served.
        slow_s: Seconds that a `slow` answer takes.
        hint_s: What a `rate_limit` fault asks the client to wait, or the range it lies in.
        requests_per_minute: Worked on in any 60 seconds; further ones are told when the next may come.
        requests_per_day: Worked on in all; every further one is told that the day's quota is used up.
        cached_share: Share of each prompt's tokens that are told to have been cached.
        thought_tokens: Tokens that the model thinks before each answer; they count against max_tokens.
        context_tokens: Longest prompt before a request is refused as too long.
    """

    latency_s: float = 0.0
    capacity: int | None = None
    log: Path | None = None
    key: str | None = None
    models: tuple[str, ...] = ()
    faults: Mapping[str, float] = field(default_factory=dict)
    faults_per_request: int = 2
    slow_s: float = 2.0
    hint_s: float | tuple[float, float] = 0.05
    requests_per_minute: int | None = None
    requests_per_day: int | None = None
    cached_share: float = 0.0
    thought_tokens: int = 0
    context_tokens: int = 1_048_576
    seed: int = 0
    tries: Counter[str] = field(default_factory=Counter, init=False)
    """Requests started, by hash."""
    served: Counter[str] = field(default_factory=Counter, init=False)
    """Requests started that met no fault, by hash: more than 1 means a call was made again for nothing."""
    ends: Counter[str] = field(default_factory=Counter, init=False)
    """Requests ended: 'finished' to the last byte, or 'abandoned' by the client."""
    outcomes: Counter[str] = field(default_factory=Counter, init=False)
    """Requests finished, by what they met; one that hangs until its client goes away never finishes."""
    requests: list[Seen] = field(default_factory=list, init=False)
    """All of them, in the order in which they came."""
    early: list[tuple[str, float]] = field(default_factory=list, init=False)
    """(hash, seconds) of requests that came again so long before the wait they were told was over."""
    most_in_flight: int = field(default=0, init=False)

    known_faults: ClassVar[tuple[str, ...]] = ("rate_limit", "overloaded", "server_error", "hang", "slow")
    quota_hint_s: ClassVar[float | None] = None
    """The wait that a request beyond the day's quota is told."""

    def __post_init__(self) -> None:
        unknown = set(self.faults) - set(self.known_faults)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}; known: {', '.join(self.known_faults)}")
        self._log = self.log.open("ab", buffering=0) if self.log else None
        self._room: AbstractAsyncContextManager[Any] = nullcontext()
        if self.capacity is not None:
            self._room = asyncio.Semaphore(self.capacity)
        self._today = 0
        self._minute: deque[float] = deque()
        self._not_before: dict[str, float] = {}

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        raise NotImplementedError

    def respond(self, request: web.BaseRequest, content: bytes, seen: Seen) -> web.Response:
        """Return the reply of a request that was worked on, or the refusal of one that was not."""
        raise NotImplementedError

    def report(self, request: web.BaseRequest) -> web.Response | None:
        """Return the reply if it is asked for the counts or the requests."""
        if request.path == "/stats":
            return web.json_response(self.stats())
        if request.path == "/requests":
            return web.json_response([asdict(seen) for seen in self.requests])
        return None

    def stats(self) -> dict[str, Any]:
        """Return the counts; `repeated` has the hashes served more than once, `outcomes` and `early` see the fields."""
        started = self.tries.total()
        return {
            "started": started,
            **{end: self.ends[end] for end in ("finished", "abandoned")},
            "in_flight": started - self.ends.total(),
            "most_in_flight": self.most_in_flight,
            "unique": len(self.tries),
            "served": len(self.served),
            "faults": started - self.served.total(),
            "outcomes": dict(self.outcomes),
            "repeated": {key: count for key, count in self.served.items() if count > 1},
            "early": self.early,
        }

    async def work(self, request: web.BaseRequest, content: bytes) -> web.StreamResponse:
        """Work on a request, or do to it what the schedule of misbehaviour says."""
        seen = self.meet(hash_of(request.path.encode(), content))
        end = "abandoned"
        try:
            if seen.outcome not in AT_ONCE:
                seconds = {"slow": self.slow_s, "hang": 1e6}.get(seen.outcome, self.latency_s)
                async with self._room:
                    await asyncio.sleep(seconds)
            response = self.respond(request, content, seen)
            # Noted before the reply leaves: what the client hears it hears later.
            seen.told = time.monotonic()
            if seen.hint_s is not None:
                self._not_before[seen.hash] = seen.told + seen.hint_s
            sent = await (break_off if seen.outcome == "truncated" else _send)(request, response)
            end = "finished"
        finally:
            self.end(seen, end)
        return sent

    def meet(self, key: str, *, limited: bool = True) -> Seen:
        """Note that a request came, and decide what it meets; `limited` ones count to the quotas."""
        now = time.monotonic()
        self.tries[key] += 1
        outcome, hint_s = self._schedule(key)
        if limited and outcome not in AT_ONCE:
            outcome, hint_s = self._limit(now) or (outcome, hint_s)
        seen = Seen(key, self.tries[key], now, outcome, hint_s)
        self.requests.append(seen)
        if (early_s := self._not_before.get(key, 0.0) - now) > 0:
            self.early.append((key, early_s))
        if outcome in ANSWERED:
            self.served[key] += 1
        self.most_in_flight = max(self.most_in_flight, len(self.requests) - self.ends.total())
        self._tell(seen, "started")
        return seen

    def end(self, seen: Seen, end: str) -> None:
        """Note that a request is 'finished' or 'abandoned'."""
        self.ends[end] += 1
        if end == "finished":
            self.outcomes[seen.outcome] += 1
        self._tell(seen, end)

    def _limit(self, now: float) -> tuple[str, float | None] | None:
        """Return the quota that is used up and the wait that is told, or count the request to both."""
        if self.requests_per_day is not None and self._today >= self.requests_per_day:
            return QUOTA, self.quota_hint_s
        if self.requests_per_minute is not None:
            while self._minute and self._minute[0] <= now - 60:
                self._minute.popleft()
            if len(self._minute) >= self.requests_per_minute:
                return RPM, self._minute[0] + 60 - now
            self._minute.append(now)
        self._today += 1
        return None

    def _schedule(self, key: str) -> tuple[str, float | None]:
        """Return what this try meets: a fixed function of seed, request and number of the try."""
        if not self.faults or self.tries[key] > self.faults_per_request:
            return OK, None
        digest = blake2b(f"{self.seed} {key} {self.tries[key]}".encode(), digest_size=16).digest()
        point, place = (int.from_bytes(half, "big") / 2**64 for half in (digest[:8], digest[8:]))
        for fault, share in self.faults.items():
            if point < share:
                return fault, self._hint_s(place) if fault == "rate_limit" else None
            point -= share
        return OK, None

    def _hint_s(self, place: float) -> float:
        if isinstance(self.hint_s, tuple):
            least, most = self.hint_s
            return round(least + place * (most - least), 3)
        return self.hint_s

    def _tell(self, seen: Seen, event: str) -> None:
        if self._log is not None:
            hint = "null" if seen.hint_s is None else f"{seen.hint_s:g}"
            self._log.write(
                f'{{"hash":"{seen.hash}","event":"{event}","time":{time.time():.6f},"try":{seen.number},'
                f'"outcome":"{seen.outcome}","hint_s":{hint}}}\n'.encode()
            )


def hash_of(*parts: bytes) -> str:
    """Return what a request is known by."""
    return blake2b(b"".join(parts), digest_size=8).hexdigest()


async def _send(request: web.BaseRequest, response: web.Response) -> web.StreamResponse:
    await response.prepare(request)
    await response.write_eof()
    return response


async def break_off(request: web.BaseRequest, response: web.Response) -> web.StreamResponse:
    """Send the first half of a response, then close the connection."""
    body = response.body
    assert isinstance(body, bytes) and request.transport is not None
    half = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    request.transport.close()
    return half


def json_response(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a reply whose body is JSON already."""
    return web.Response(status=status, body=body.encode(), content_type="application/json", headers=headers)
