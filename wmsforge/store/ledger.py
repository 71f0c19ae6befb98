"""The durable record of every model call of a workspace: one SQLite file in WAL mode.

A response is stored before anyone parses it, under a key made of what was asked of whom. A crash
costs only the calls in flight: a row is in the file when `put` returns (kill -9 safe; a power cut
may lose the last moments, as SQLite's synchronous=NORMAL does).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from wmsforge.errors import RecordError, StepError
from wmsforge.files import writable
from wmsforge.steps.chat_model import ChatResponse, Usage
from wmsforge.store import ledger_schema
from wmsforge.store.manifest import Paid

OPEN, INTERRUPTED, SUPERSEDED, EMBEDDING = "open", "interrupted", "superseded", "embedding"
"""Reasons of attempts that are no failures."""
CHECKPOINT_PUTS = 2_000
"""Calls after which the write-ahead log is folded into the file, by a thread of its own: the fsync it
needs takes tens of milliseconds on a busy disk, in which no call could end."""


@dataclass(frozen=True)
class Caller:
    """Who makes a call: all of it stands in the call's row."""

    recipe: str
    step: str
    model: str
    quota: str
    run: str


@dataclass(frozen=True)
class Attempt:
    """A request that is no stored call."""

    reason: str
    detail: str = ""
    raw: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    at_most: bool = False
    """Whether no one knows what it used, and usage and cost are what it may have used."""
    again_at: float | None = None
    """Until when the server asked to wait, in seconds since 1970; None if it did not."""


@dataclass(frozen=True)
class Interrupted:
    """A request whose process was killed, with what it may have used."""

    row: int
    cost_usd: float
    tokens: int


class Ledger:
    """All calls of a workspace. Used from one thread: a lookup takes about 15 us, a put 60 us."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._puts = 0
        self._checkpoints = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint=0")
            ledger_schema.create(self._db)
        except sqlite3.DatabaseError as error:
            raise StepError(
                f"The ledger {path} cannot be opened: {error}.\n"
                f"Put it back from a copy; without it every stored call would be made and paid again."
            ) from error

    # -- calls that were answered

    def get(self, key: bytes) -> ChatResponse | RecordError | None:
        """Return what a call gave: a response, or why what was paid for cannot be used; None if it was not made."""
        with self._reading():
            row = self._db.execute("SELECT response, reason FROM calls WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            if row[1]:
                failure = json.loads(row[0])
                return RecordError(row[1], failure["detail"], failure["raw"], failure["usage"])
            return ChatResponse.model_validate_json(row[0])

    def put(
        self,
        key: bytes,
        caller: Caller,
        request: str,
        outcome: ChatResponse | RecordError,
        *,
        cost_usd: float | None = None,
        at: str = "",
        attempt: int | None = None,
    ) -> None:
        """Store what a call gave, durably. A key that is there already stays as it is.

        Args:
            cost_usd: None if the price is unknown.
            at: When a failure came, ISO 8601 UTC; a response knows it.
            attempt: The row of `begin` that this ends.
        """
        if isinstance(outcome, RecordError):
            usage = Usage.model_validate(outcome.usage or {})
            failure = {"detail": outcome.detail, "raw": outcome.raw, "usage": usage.model_dump()}
            response, reason = writable(json.dumps(failure, ensure_ascii=False)), outcome.reason
        else:
            usage, response, reason, at = outcome.usage, outcome.model_dump_json(), "", outcome.created_at
        values = (
            key,
            caller.step,
            caller.model,
            request,
            response,
            usage.prompt_tokens,
            usage.completion_tokens,
            at,
            caller.run,
            caller.recipe,
            caller.quota,
            usage.cached_tokens,
            usage.thought_tokens,
            cost_usd,
            reason,
        )
        with self._writing(together=attempt is not None):
            self._db.execute(
                "INSERT OR IGNORE INTO calls (key, step, model, request, response, prompt_tokens, completion_tokens,"
                " created_at, run, recipe, quota, cached_tokens, thought_tokens, cost_usd, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            if attempt is not None:
                self._db.execute("DELETE FROM attempts WHERE number = ?", (attempt,))
        self._puts += 1
        if self._puts % CHECKPOINT_PUTS == 0:
            self._checkpoints.submit(self._checkpoint)

    def forget(self, keys: Iterable[bytes]) -> int:
        """Let these calls be made again; what they cost stays counted. Return how many there were."""
        forgotten = 0
        with self._writing(together=True):
            for key in keys:
                self._db.execute(
                    "INSERT INTO attempts (key, recipe, step, model, quota, run, reason, detail, raw, prompt_tokens,"
                    " cached_tokens, completion_tokens, thought_tokens, cost_usd, created_at)"
                    " SELECT key, recipe, step, model, quota, run, ?, reason, response, prompt_tokens, cached_tokens,"
                    " completion_tokens, thought_tokens, cost_usd, created_at FROM calls WHERE key = ?",
                    (SUPERSEDED, key),
                )
                forgotten += self._db.execute("DELETE FROM calls WHERE key = ?", (key,)).rowcount
        return forgotten

    # -- requests that are no stored call

    def begin(
        self,
        key: bytes,
        caller: Caller,
        most: Usage,
        cost_usd: float | None,
        at: str,
        takes_over: int | None = None,
    ) -> int:
        """Count a request before it is made, with what it may use at most. Return the row for `put` or `add`.

        Args:
            takes_over: The row of `interrupted`: it is the same request, found again.
        """
        with self._writing(together=takes_over is not None):
            if takes_over is not None:
                self._db.execute("DELETE FROM attempts WHERE number = ?", (takes_over,))
            return self._insert(key, caller, Attempt(OPEN, usage=most, cost_usd=cost_usd, at_most=True), at)

    def interrupted(self, key: bytes, caller: Caller) -> Interrupted | None:
        """Return the last request of this key, made for the same step, whose process was killed."""
        tokens = "prompt_tokens + completion_tokens + thought_tokens"
        with self._reading():
            row = self._db.execute(
                f"SELECT number, cost_usd, {tokens} FROM attempts"
                " WHERE recipe = ? AND step = ? AND key = ? AND reason = ? ORDER BY number DESC",
                (caller.recipe, caller.step, key, INTERRUPTED),
            ).fetchone()
        return None if row is None else Interrupted(row[0], row[1] or 0.0, row[2])

    def add(self, key: bytes, caller: Caller, attempt: Attempt, at: str, begun: int | None = None) -> None:
        """Store a request; `begun` is the row of `begin` that this ends."""
        with self._writing(together=begun is not None):
            if begun is not None:
                self._db.execute("DELETE FROM attempts WHERE number = ?", (begun,))
            self._insert(key, caller, attempt, at)

    def withdraw(self, begun: int) -> None:
        """Take back a request that was never sent; `begun` is the row of `begin`."""
        with self._writing():
            self._db.execute("DELETE FROM attempts WHERE number = ?", (begun,))

    def failure(self, key: bytes) -> RecordError | None:
        """Return how the last request of a call failed that no call is stored for, None if none did."""
        query = (
            "SELECT reason, detail, raw FROM attempts WHERE key = ? AND reason NOT IN (?, ?, ?, ?) ORDER BY number DESC"
        )
        with self._reading():
            row = self._db.execute(query, (key, OPEN, INTERRUPTED, SUPERSEDED, EMBEDDING)).fetchone()
        return None if row is None else RecordError(*row)

    def close_open(self) -> int:
        """Count the requests of killed processes as made; call it while no other process works here."""
        with self._writing():
            return self._db.execute("UPDATE attempts SET reason = ? WHERE reason = ?", (INTERRUPTED, OPEN)).rowcount

    def _insert(self, key: bytes, caller: Caller, attempt: Attempt, at: str) -> int:
        usage = attempt.usage
        cursor = self._db.execute(
            "INSERT INTO attempts (key, recipe, step, model, quota, run, reason, detail, raw, prompt_tokens,"
            " cached_tokens, completion_tokens, thought_tokens, cost_usd, at_most, again_at, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                caller.recipe,
                caller.step,
                caller.model,
                caller.quota,
                caller.run,
                attempt.reason,
                writable(attempt.detail),
                None if attempt.raw is None else writable(attempt.raw),
                usage.prompt_tokens,
                usage.cached_tokens,
                usage.completion_tokens,
                usage.thought_tokens,
                attempt.cost_usd,
                attempt.at_most,
                attempt.again_at,
                at,
            ),
        )
        assert cursor.lastrowid is not None  # an INSERT has one
        return cursor.lastrowid

    # -- vectors of queries

    def vectors(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the stored vectors among these, float32."""
        query, found = "SELECT vector FROM vectors WHERE key = ?", {}
        with self._reading():
            for key in keys:
                if (row := self._db.execute(query, (key,)).fetchone()) is not None:
                    found[key] = row[0]
        return found

    def put_vectors(self, vectors: Mapping[bytes, bytes]) -> None:
        """Store vectors, float32, durably."""
        with self._writing(together=True):
            self._db.executemany("INSERT OR IGNORE INTO vectors (key, vector) VALUES (?, ?)", vectors.items())

    # -- counts

    def paid(self, recipe: str, step: str | None = None) -> dict[tuple[str, str], Paid]:
        """Return what a recipe has paid over all its runs, by step and model."""
        where, values = ("recipe = ?", (recipe,)) if step is None else ("recipe = ? AND step = ?", (recipe, step))
        sums = "sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens), sum(thought_tokens), sum(cost_usd)"
        columns = f"step, model, {{}}, count(*), {sums}, sum(cost_usd IS NULL)"
        query = f"SELECT {columns} FROM {{}} WHERE {where} GROUP BY 1, 2, 3"
        kinds = f"CASE WHEN at_most THEN 2 WHEN reason = '{EMBEDDING}' THEN 0 ELSE 1 END"
        with self._reading():
            rows = self._db.execute(query.format("0", "calls"), values).fetchall()
            rows += self._db.execute(query.format(kinds, "attempts"), values).fetchall()
        found: dict[tuple[str, str], Paid] = defaultdict(Paid)
        for step_, model, kind, count, prompt, cached, completion, thoughts, cost, unpriced in rows:
            if kind == 2:
                tokens = prompt + completion + thoughts
                one = Paid(attempts=count, uncertain_usd=cost or 0.0, uncertain_tokens=tokens)
            else:
                one = Paid(
                    calls=count if kind == 0 else 0,
                    attempts=count if kind == 1 else 0,
                    prompt_tokens=prompt,
                    cached_tokens=cached,
                    completion_tokens=completion,
                    thought_tokens=thoughts,
                    cost_usd=cost or 0.0,
                    unpriced=unpriced,
                )
            found[step_, model] += one
        return dict(found)

    def requests(self, key: bytes) -> list[tuple[str, str, Usage]]:
        """Return (model, request as JSON, usage) of every request of a call that was paid for as far as anyone knows.

        The request is that of the answered call; empty where none was answered.
        """
        used = "prompt_tokens, cached_tokens, completion_tokens, thought_tokens"
        with self._reading():
            rows = self._db.execute(f"SELECT model, request, {used} FROM calls WHERE key = ?", (key,)).fetchall()
            written = rows[0][1] if rows else ""
            rows += self._db.execute(
                f"SELECT model, ?, {used} FROM attempts WHERE key = ? AND NOT at_most AND reason != ?",
                (written, key, SUPERSEDED),
            ).fetchall()
        names = ("prompt_tokens", "cached_tokens", "completion_tokens", "thought_tokens")
        return [(model, request, Usage(**dict(zip(names, counts, strict=True)))) for model, request, *counts in rows]

    def recent(self, quota: str, seconds: float) -> list[tuple[float, float]]:
        """Return (seconds ago, tokens) of the requests of a quota that ended in the last seconds, or never did."""
        now = datetime.now(UTC)
        tokens = "prompt_tokens + completion_tokens + thought_tokens"
        rows = self._since(quota, now - timedelta(seconds=seconds), f"created_at, {tokens}")
        return [((now - datetime.fromisoformat(at)).total_seconds(), tokens) for at, tokens in rows]

    def waits(self) -> dict[bytes, float]:
        """Return the calls that a server asked to make later, and when: seconds since 1970."""
        query = "SELECT key, max(again_at) FROM attempts WHERE again_at > ? GROUP BY key"
        with self._reading():
            return dict(self._db.execute(query, (time.time(),)).fetchall())

    def requests_since(self, quota: str, moment: datetime) -> int:
        """Return how many requests of a quota were made since a moment with a zone."""
        return sum(count for (count,) in self._since(quota, moment, "count(*)"))

    def _since(self, quota: str, moment: datetime, columns: str) -> list[Any]:
        at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._reading():
            return [
                row
                for table in ("calls", "attempts")
                for row in self._db.execute(
                    f"SELECT {columns} FROM {table} WHERE quota = ? AND created_at >= ?", (quota, at)
                )
            ]

    def count(self) -> int:
        """Return how many calls are stored."""
        return int(self._db.execute("SELECT count(*) FROM calls").fetchone()[0])

    def close(self) -> None:
        """Fold the log into the file and close it."""
        self._checkpoints.shutdown(wait=True)
        self._db.close()

    def _checkpoint(self) -> None:
        # A passive checkpoint waits for no one and stops no one; what it leaves, the next one takes.
        with closing(sqlite3.connect(self._path, isolation_level=None)) as database:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise StepError(
                f"The ledger {self._path} is damaged: {error}.\n"
                f"Put it back from a copy; without it every stored call would be made and paid again."
            ) from error

    @contextmanager
    def _writing(self, *, together: bool = False) -> Iterator[None]:
        """Turn what SQLite says into our error; `together` writes all or nothing."""
        try:
            if together:
                self._db.execute("BEGIN")
            yield
            if together:
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise StepError(
                f"The ledger {self._path} cannot be written: {error}.\n"
                f"Free disk space or make it writable, then run the same command again; stored calls are kept."
            ) from error
