"""What happens in a run: to events.jsonl, to observer hooks, and to whoever shows progress."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

Listener = Callable[[str, dict[str, Any]], None]


def now() -> str:
    """Return the current time, ISO 8601 UTC to the second."""
    return _written(int(time.time()))


@lru_cache(maxsize=2)  # thousands of calls may end in one second, and strftime costs more than the rest of this
def _written(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Events:
    """The event log of one run. Every event is one JSON line, flushed when it is written."""

    def __init__(self, path: Path, listener: Listener | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.folder = path.parent
        """Of the run."""
        self._file = path.open("a", encoding="utf-8")
        self._listener = listener
        self._warned: set[tuple[str, str]] = set()

    def emit(self, event: str, **facts: Any) -> None:
        """Log an event and tell the listener."""
        self._file.write(json.dumps({"at": now(), "event": event, **facts}, ensure_ascii=False) + "\n")
        self._file.flush()
        if self._listener is not None:
            self._listener(event, facts)

    def warn(self, step: str, message: str) -> None:
        """Log a warning; the same words of the same step only once."""
        if (step, message) not in self._warned:
            self._warned.add((step, message))
            self.emit("warning", step=step, message=message)

    def close(self) -> None:
        self._file.close()
