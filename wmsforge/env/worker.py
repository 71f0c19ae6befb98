"""What a job in an environment sees: how it reports, and the error that is for the user."""

from __future__ import annotations

from typing import Any, Protocol


class JobError(Exception):
    """What the user must change: a line that says what is wrong, and one with the remedy."""


class Report(Protocol):
    """How a job tells what it does."""

    stop_requested: bool
    """Finish the current step, save, return or raise."""

    def progress(self, done: int, total: int, unit: str = "steps", **facts: Any) -> None: ...

    def warn(self, text: str) -> None: ...

    def note(self, text: str) -> None: ...
