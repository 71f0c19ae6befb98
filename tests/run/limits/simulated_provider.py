"""A provider in virtual time, and the real limiter and tries that call it: minutes of calls take a second.

seen = run_in_virtual_time(drive(Queueing(capacity=40), tmp_path, calls=8000, concurrency=256))
seen.throughput(after=0.5)    # answers a second in the second half of the calls
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wmsforge.errors import RecordError, RetryableError
from wmsforge.reasons import RATE_LIMIT
from wmsforge.run.answering import WORKERS_PER_PLACE
from wmsforge.run.events import Events
from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.limiter import Limiter
from wmsforge.run.provider import Call, Provider, Tries
from wmsforge.steps.chat_model import Usage
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import Caller, Ledger

TURNED_AWAY_S = 0.02
"""How quickly a server says 429."""


class Server:
    """Answers after `service_s`, log-normally spread, however many ask.

    Args:
        spread: Standard deviation of the logarithm of the seconds; 1 is a heavy tail.
        random_429: Share of calls turned away whatever the load, with hints of 0.5 to 3 s.
    """

    def __init__(
        self, *, service_s: float = 0.5, spread: float = 0.3, random_429: float = 0.0, hints: bool = True, seed: int = 0
    ) -> None:
        self.random = random.Random(seed)
        self.service_s = service_s
        self.spread = spread
        self.random_429 = random_429
        self.hints = hints
        self.in_flight = 0
        self.arrivals: list[float] = []
        self.early = 0
        """Calls asked again before their hint."""

    async def answer(self, number: int, not_before: float) -> None:
        """Take a try of call `number`, `not_before` the moment that its last hint named.

        Raises:
            RetryableError: If the call is turned away.
        """
        self.arrivals.append(now_s())
        self.early += now_s() < not_before - 1e-6
        if self.random.random() < self.random_429:
            await self.turn_away()
        self.in_flight += 1
        try:
            await self.serve(self.service_s * math.exp(self.random.gauss(-(self.spread**2) / 2, self.spread)))
        finally:
            self.in_flight -= 1

    async def serve(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def turn_away(self) -> None:
        await asyncio.sleep(TURNED_AWAY_S)
        raise RetryableError(RATE_LIMIT, "429", after_s=self.random.uniform(0.5, 3) if self.hints else None)


class Queueing(Server):
    """Works on `capacity` calls at once; the others wait in a queue of which no one is told."""

    def __init__(self, *, capacity: int, **more: float) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.capacity = capacity
        self._working = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    def change_capacity(self, capacity: int) -> None:
        self.capacity = capacity
        self._start_next()

    async def serve(self, seconds: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._start_next()
        await turn
        try:
            await asyncio.sleep(seconds)
        finally:
            self._working -= 1
            self._start_next()

    def _start_next(self) -> None:
        while self._queue and self._working < self.capacity:
            turn = self._queue.popleft()
            if not turn.done():
                self._working += 1
                turn.set_result(None)


class Sharing(Server):
    """Works on all calls at once; beyond `capacity` each takes longer in proportion."""

    def __init__(self, *, capacity: int, **more: float) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.capacity = capacity

    async def serve(self, seconds: float) -> None:
        while seconds > 0:
            step = min(seconds, self.service_s / 5)
            await asyncio.sleep(step * max(1.0, self.in_flight / self.capacity))
            seconds -= step


class TurningAway(Server):
    """Turns calls beyond `capacity` away."""

    def __init__(self, *, capacity: int, **more: float) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.capacity = capacity

    async def serve(self, seconds: float) -> None:
        if self.in_flight > self.capacity:
            await self.turn_away()
        await asyncio.sleep(seconds)


@dataclass
class Seen:
    """What was seen from outside."""

    latencies: list[tuple[float, float]] = field(default_factory=list)
    """(moment of the answer, seconds of its last try)."""
    rejected: int = 0
    levels: list[tuple[float, int, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    wall_s: float = 0.0

    def throughput(self, after: float = 0.0, until: float = 1.0) -> float:
        """Return answers a second, over the answers from the share `after` to the share `until`."""
        first, last = int(len(self.latencies) * after), int(len(self.latencies) * until) - 1
        begin = self.latencies[first][0] if first else 0.0
        return (last - first) / (self.latencies[last][0] - begin)

    def p95_s(self, after: float = 0.0, until: float = 1.0) -> float:
        """Return the 95th percentile of the answers' latencies."""
        count = len(self.latencies)
        seconds = sorted(latency for _, latency in self.latencies[int(count * after) : int(count * until)])
        return seconds[int(0.95 * (len(seconds) - 1))]


async def drive(
    server: Server,
    folder: Path,
    *,
    calls: int,
    concurrency: int,
    fixed: bool = False,
    later: Sequence[tuple[float, Callable[[], None]]] = (),
    **limits: float,
) -> Seen:
    """Make calls through the real limiter, as many workers at once as a step of the engine has.

    Args:
        later: (seconds from the start, what happens to the server then).
        limits: More fields of `LimitOptions`.
    """
    seen = Seen()
    random.seed(calls)  # the engine's own chance: its backoff
    ledger = Ledger(folder / "ledger.sqlite")
    events = Events(folder / "events.jsonl")
    options = LimitOptions(concurrency=concurrency, **{"max_attempts": 100, **limits})  # type: ignore[arg-type]

    def tell(level: int, why: str) -> None:
        seen.levels.append((now_s(), level, why))

    limiter = Limiter("m", "q", [options], ledger, fixed=fixed, warn=seen.warnings.append, tell=tell)
    tries = Tries(Provider("m", "q", options, limiter, None, None), Caller("r", "s", "m", "q", "run"), ledger, events)
    numbers = iter(range(calls))
    for seconds, happens in later:
        asyncio.get_running_loop().call_later(seconds, happens)

    async def one(number: int) -> None:
        asked_at = not_before = 0.0

        async def ask() -> float:
            nonlocal asked_at, not_before
            asked_at = now_s()
            try:
                await server.answer(number, not_before)
            except RetryableError as error:
                not_before = now_s() + (error.after_s or 0.0)
                raise
            return now_s() - asked_at

        try:
            seconds = await tries.make(Call(number.to_bytes(16, "big"), Usage), ask, lambda _: Usage(), _no_store)
        except RecordError:
            seen.rejected += 1
        else:
            seen.latencies.append((now_s(), seconds))

    async def work() -> None:
        for number in numbers:
            await one(number)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS_PER_PLACE * concurrency):
                group.create_task(work())
    finally:
        ledger.close()
        events.close()
    seen.wall_s = now_s()
    return seen


def _no_store(*_: object) -> None:
    """The answers of a simulation are not kept."""
