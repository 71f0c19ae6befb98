"""What our mock servers share: counting, deterministic misbehaviour, a hidden capacity, a log.

A server is a `MockServer` with its own `handle`, which passes requests that cost something to `work`.
Which requests meet a fault, and what wait they are told, depends on the seed, the request's bytes
and the number of the try alone, not on the order in which requests come.

`GET /stats` tells the counts, `GET /requests` every request: when it came, what it met, what wait it was told.
The log has a JSON line a started, finished or abandoned request, written at once, so it outlives a
client that is killed, and the server too.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from aiohttp import web

OK = "ok"
QUOTA = "quota"
"""Outcome of a request beyond `requests_per_day`."""
AT_ONCE = ("rate_limit", "overloaded", QUOTA)
"""A server that turns a request away does so without working on it."""
ANSWERED = (OK, "slow")


@dataclass
class Seen:
    """One request as the server saw it; times are seconds of one clock that never goes back."""

    hash: str
    number: int
    """Of the try, from 1."""
    came: float
    outcome: str
    """`ok`, the fault it met, or `quota`."""
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
        faults: Share of requests, 0..1, that meet each of `FAULTS`.
        faults_per_request: How often at most the same request meets a fault before it is served.
        slow_s: Seconds that a `slow` answer takes.
        retry_after_s: What a `rate_limit` fault asks the client to wait, or the range it lies in.
        requests_per_day: Requests that are worked on before every further one is told that the day's quota is used up.
        cached_share: Share of each prompt's tokens that are told to have been cached.
        thought_tokens: Tokens that the model thinks before each answer; they count against max_tokens.
        context_chars: Longest prompt before a request is refused as too long.
    """

    latency_s: float = 0.0
    capacity: int | None = None
    log: Path | None = None
    key: str | None = None
    models: tuple[str, ...] = ()
    faults: Mapping[str, float] = field(default_factory=dict)
    faults_per_request: int = 2
    slow_s: float = 2.0
    retry_after_s: float | tuple[float, float] = 0.05
    requests_per_day: int | None = None
    cached_share: float = 0.0
    thought_tokens: int = 0
    context_chars: int = 1_000_000
    seed: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    """Requests started, by hash."""
    served: Counter[str] = field(default_factory=Counter)
    """Requests started that met no fault, by hash: more than 1 means a call was made again for nothing."""
    ends: Counter[str] = field(default_factory=Counter)
    """Requests ended: 'finished' to the last byte, or 'abandoned' by the client."""
    requests: list[Seen] = field(default_factory=list)
    """All of them, in the order in which they came."""
    early: list[str] = field(default_factory=list)
    """Hashes of the requests that came again before the wait they were told was over."""
    most_in_flight: int = 0

    known_faults = ("rate_limit", "overloaded", "server_error", "hang", "slow")

    def __post_init__(self) -> None:
        unknown = set(self.faults) - set(self.known_faults)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}; known: {', '.join(self.known_faults)}")
        self._log = self.log.open("ab", buffering=0) if self.log else None
        self._room: AbstractAsyncContextManager[Any] = nullcontext()
        if self.capacity is not None:
            self._room = asyncio.Semaphore(self.capacity)
        self._today = 0
        self._not_before: dict[str, float] = {}

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request of any kind."""
        raise NotImplementedError

    def respond(self, content: bytes, seen: Seen) -> web.Response:
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
        """Return the counts; `repeated` has the hashes served more than once, `early` see the field."""
        started = self.tries.total()
        return {
            "started": started,
            **{end: self.ends[end] for end in ("finished", "abandoned")},
            "in_flight": started - self.ends.total(),
            "most_in_flight": self.most_in_flight,
            "unique": len(self.tries),
            "faults": started - self.served.total(),
            "outcomes": dict(Counter(seen.outcome for seen in self.requests)),
            "repeated": {key: count for key, count in self.served.items() if count > 1},
            "early": self.early,
        }

    async def work(self, request: web.BaseRequest, content: bytes) -> web.StreamResponse:
        """Work on a request, or do to it what the schedule of misbehaviour says."""
        seen = self._meet(blake2b(content, digest_size=8).hexdigest())
        end = "abandoned"
        try:
            if seen.outcome not in AT_ONCE:
                seconds = {"slow": self.slow_s, "hang": 1e6}.get(seen.outcome, self.latency_s)
                async with self._room:
                    await asyncio.sleep(seconds)
            response = self.respond(content, seen)
            # Noted before the reply leaves: what the client hears it hears later.
            seen.told = time.monotonic()
            if seen.hint_s is not None:
                self._not_before[seen.hash] = seen.told + seen.hint_s
            sent = await (break_off if seen.outcome == "truncated" else _send)(request, response)
            end = "finished"
        finally:
            self.ends[end] += 1
            self._tell(seen, end)
        return sent

    def _meet(self, key: str) -> Seen:
        self.tries[key] += 1
        outcome, hint_s = self._schedule(key)
        if outcome not in AT_ONCE and self.requests_per_day is not None:
            self._today += 1
            if self._today > self.requests_per_day:
                outcome, hint_s = QUOTA, None
        seen = Seen(key, self.tries[key], time.monotonic(), outcome, hint_s)
        self.requests.append(seen)
        if seen.came < self._not_before.get(key, 0.0):
            self.early.append(key)
        if outcome in ANSWERED:
            self.served[key] += 1
        self.most_in_flight = max(self.most_in_flight, len(self.requests) - self.ends.total())
        self._tell(seen, "started")
        return seen

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
        if isinstance(self.retry_after_s, tuple):
            least, most = self.retry_after_s
            return round(least + place * (most - least), 3)
        return self.retry_after_s

    def _tell(self, seen: Seen, event: str) -> None:
        if self._log is not None:
            hint = "null" if seen.hint_s is None else f"{seen.hint_s:g}"
            self._log.write(
                f'{{"hash":"{seen.hash}","event":"{event}","time":{time.time():.6f},"try":{seen.number},'
                f'"outcome":"{seen.outcome}","hint_s":{hint}}}\n'.encode()
            )


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


@asynccontextmanager
async def serving_at_root(mock: MockServer, port: int = 0) -> AsyncIterator[str]:
    """Serve in this event loop; gives the address, without a path."""
    # Cancelled when the client goes away, so that an abandoned request is seen at once.
    server = web.Server(mock.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    # Hundreds of connections may come at once; those beyond the backlog would wait for a SYN sent again.
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        mock.close()


@contextmanager
def script_server(script: str, *arguments: str) -> Iterator[str]:
    """Serve from another process that runs a script; gives the first line it prints, its address."""
    command = [sys.executable, script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            if not address:
                raise RuntimeError(f"the mock server did not start: {' '.join(command)}")
            yield address
        finally:
            process.terminate()


def parser(description: str | None, faults: tuple[str, ...]) -> argparse.ArgumentParser:
    """Return a parser of the settings of `MockServer`; give its result to `settings`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--port", type=int, default=0, help="0 takes a free one")
    made.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", dest="latency_s")
    made.add_argument("--capacity", type=int, help="requests worked on at once")
    made.add_argument("--log", type=Path)
    made.add_argument("--key")
    made.add_argument("--model", action="append", default=[], dest="models", help="serve only these names")
    made.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE", help=", ".join(faults))
    made.add_argument("--faults-per-request", type=int, default=2)
    made.add_argument("--slow", type=float, default=2.0, metavar="SECONDS", dest="slow_s")
    made.add_argument("--retry-after", default="0.05", metavar="SECONDS", dest="retry_after_s", help="2, or 0.5..3")
    made.add_argument("--requests-per-day", type=int)
    made.add_argument("--cached-share", type=float, default=0.0)
    made.add_argument("--thought-tokens", type=int, default=0)
    made.add_argument("--context-chars", type=int, default=1_000_000)
    made.add_argument("--seed", type=int, default=0)
    return made


def settings(parsed: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    """Return the port and the arguments of a `MockServer`."""
    found = vars(parsed)
    port, faults = found.pop("port"), found.pop("fault")
    found["faults"] = {name: float(share) for name, _, share in (fault.partition("=") for fault in faults)}
    least, _, most = found["retry_after_s"].partition("..")
    found["retry_after_s"] = (float(least), float(most)) if most else float(least)
    return port, found


async def serve_forever(mock: MockServer, port: int, path: str = "") -> None:
    """Serve until terminated; prints the address, with this path after it."""
    async with serving_at_root(mock, port) as address:
        print(f"{address}{path}", flush=True)
        await asyncio.Event().wait()
