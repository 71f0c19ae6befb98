"""The file of an index: its passages in order, its settings, and what was computed for each text.

One SQLite file, changed in transactions: after a kill it is as it was before or after one of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from wmsforge.records import Passage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS passages (position INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS codes (key TEXT PRIMARY KEY, code BLOB NOT NULL) WITHOUT ROWID;
"""


class IndexDatabase:
    """Passages, settings and codes (a text's vector or morphemes, as bytes, by a key of the text).

    Raises:
        sqlite3.DatabaseError: From any method, if the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Used by one task at a time, but not always from the same worker thread.
        self._connection = sqlite3.connect(path, check_same_thread=False)

    def __enter__(self) -> IndexDatabase:
        (state,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        self._connection.executescript(_SCHEMA)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def meta(self, key: str) -> Any:
        """Return a JSON value, None when it was never set."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def passages(self) -> list[Passage]:
        """Return the passages in the order of the index."""
        rows = self._connection.execute("SELECT record FROM passages ORDER BY position")
        return [Passage.model_validate_json(record) for (record,) in rows]

    def codes(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the codes that are there for these keys."""
        found = {}
        for key in keys:
            row = self._connection.execute("SELECT code FROM codes WHERE key = ?", (key,)).fetchone()
            if row:
                found[key] = row[0]
        return found

    def add_codes(self, codes: Mapping[str, bytes]) -> None:
        """Store codes, durably."""
        with self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO codes VALUES (?, ?)", codes.items())

    def finish(self, passages: Sequence[Passage], keys: Iterable[str], meta: Mapping[str, Any]) -> None:
        """Make these the passages and meta values of the index, and forget all codes but those of `keys`."""
        with self._connection:
            self._connection.execute("DELETE FROM passages")
            self._connection.executemany(
                "INSERT INTO passages VALUES (?, ?)",
                ((position, passage.model_dump_json()) for position, passage in enumerate(passages)),
            )
            self._connection.execute("CREATE TEMP TABLE kept (key TEXT PRIMARY KEY) WITHOUT ROWID")
            self._connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((key,) for key in keys))
            self._connection.execute("DELETE FROM codes WHERE key NOT IN (SELECT key FROM kept)")
            self._connection.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                ((key, json.dumps(value, ensure_ascii=False)) for key, value in meta.items()),
            )
            self._connection.execute("DROP TABLE temp.kept")
