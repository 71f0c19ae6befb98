"""The durable record of every model call of a workspace: one SQLite file in WAL mode.

A response is stored before anyone parses it, under a key made of what was asked of whom. A crash
costs only the calls in flight: a row is in the file when `put` returns (kill -9 safe; a power cut
may lose the last moments, as SQLite's synchronous=NORMAL does).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from wmsforge.errors import StepError
from wmsforge.steps.chat_model import ChatResponse

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  number INTEGER PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  step TEXT NOT NULL,
  model TEXT NOT NULL,
  request TEXT NOT NULL,
  response TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  run TEXT NOT NULL
)
"""


def call_key(model: Mapping[str, Any], request: str) -> bytes:
    """Return the 16-byte key of a call: `model` is its identity, `request` the request as JSON."""
    identity = json.dumps(model, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(f"{identity}\n{request}".encode(), digest_size=16).digest()


CHECKPOINT_PUTS = 2_000
"""Calls after which the write-ahead log is folded into the file, by a thread of its own: the fsync it
needs takes tens of milliseconds on a busy disk, in which no call could end."""


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
            self._db.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise StepError(
                f"The ledger {path} cannot be opened: {error}.\n"
                f"Put it back from a copy; without it every stored call would be made and paid again."
            ) from error

    def get(self, key: bytes) -> ChatResponse | None:
        """Return the stored response of a call."""
        try:
            row = self._db.execute("SELECT response FROM calls WHERE key = ?", (key,)).fetchone()
            return ChatResponse.model_validate_json(row[0]) if row else None
        except (sqlite3.Error, ValueError) as error:
            raise StepError(
                f"The ledger {self._path} is damaged: {error}.\n"
                f"Put it back from a copy; without it every stored call would be made and paid again."
            ) from error

    def put(self, key: bytes, *, step: str, model: str, request: str, response: ChatResponse, run: str) -> None:
        """Store a call, durably. A key that is there already stays as it is."""
        values = (
            key,
            step,
            model,
            request,
            response.model_dump_json(),
            response.usage.prompt_tokens,
            response.usage.completion_tokens,
            response.created_at,
            run,
        )
        try:
            self._db.execute(
                "INSERT OR IGNORE INTO calls (key, step, model, request, response, prompt_tokens, completion_tokens,"
                " created_at, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        except sqlite3.Error as error:
            raise StepError(
                f"The ledger {self._path} cannot be written: {error}.\n"
                f"Free disk space or make it writable, then run the same command again; stored calls are kept."
            ) from error

        self._puts += 1
        if self._puts % CHECKPOINT_PUTS == 0:
            self._checkpoints.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        # A passive checkpoint waits for no one and stops no one; what it leaves, the next one takes.
        with closing(sqlite3.connect(self._path, isolation_level=None)) as database:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def count(self) -> int:
        """Return how many calls are stored."""
        return int(self._db.execute("SELECT count(*) FROM calls").fetchone()[0])

    def close(self) -> None:
        """Fold the log into the file and close it."""
        self._checkpoints.shutdown(wait=True)
        self._db.close()
