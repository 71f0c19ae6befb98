"""The tables of the ledger, and how an older ledger gets them."""

from __future__ import annotations

import sqlite3

_CALLS = """
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
_ADDED = {
    "recipe": "TEXT NOT NULL DEFAULT ''",
    "quota": "TEXT NOT NULL DEFAULT ''",
    "cached_tokens": "INTEGER NOT NULL DEFAULT 0",
    "thought_tokens": "INTEGER NOT NULL DEFAULT 0",
    "cost_usd": "REAL",
    "reason": "TEXT NOT NULL DEFAULT ''",
}
"""Columns of `calls` since version 2. `cost_usd` is null where the price is unknown; `reason` is set where
what was paid for cannot be used, `response` is then a `Failure`."""

_ATTEMPTS = """
CREATE TABLE IF NOT EXISTS attempts (
  number INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  recipe TEXT NOT NULL,
  step TEXT NOT NULL,
  model TEXT NOT NULL,
  quota TEXT NOT NULL,
  run TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  raw TEXT,
  prompt_tokens INTEGER NOT NULL DEFAULT 0,
  cached_tokens INTEGER NOT NULL DEFAULT 0,
  completion_tokens INTEGER NOT NULL DEFAULT 0,
  thought_tokens INTEGER NOT NULL DEFAULT 0,
  cost_usd REAL,
  at_most INTEGER NOT NULL DEFAULT 0,
  again_at REAL,
  created_at TEXT NOT NULL
)
"""
"""Requests that are no row of `calls`: under way ('open'), failed, cut off by a kill ('interrupted'), asked
anew ('superseded'), or for vectors ('embedding'). Where `at_most` is 1 no one knows what the request used; the
figures are what it may have used."""

_VECTORS = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
"""Vectors of queries, float32; an index keeps those of passages."""

_INDEXES = (
    "CREATE INDEX IF NOT EXISTS attempts_by_recipe ON attempts (recipe, step)",
    "CREATE INDEX IF NOT EXISTS attempts_by_key ON attempts (key)",
    "CREATE INDEX IF NOT EXISTS calls_by_recipe ON calls (recipe, step)",
)
VERSION = 3


def create(database: sqlite3.Connection) -> None:
    """Create what is missing.

    Raises:
        sqlite3.DatabaseError: If the file is no database.
    """
    database.execute(_CALLS)
    if database.execute("PRAGMA user_version").fetchone()[0] < VERSION:
        there = {row[1] for row in database.execute("PRAGMA table_info(calls)")}
        for name, kind in _ADDED.items():
            if name not in there:
                database.execute(f"ALTER TABLE calls ADD COLUMN {name} {kind}")
        database.execute(_ATTEMPTS)
        database.execute(_VECTORS)
        for index in _INDEXES:
            database.execute(index)
        database.execute(f"PRAGMA user_version = {VERSION}")
