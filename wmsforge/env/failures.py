"""Why a job gave nothing: what happened, how its log ends, and how to go on."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from wmsforge.env.masked_log import MaskedLog
from wmsforge.errors import StepError
from wmsforge.masking import Mask

QUOTED_LINES = 15


class FailedJobError(Exception):
    """A job failed.

    Args:
        said: What happened; the log is quoted right behind it.
        quotes: Whether the log tells more.
    """

    def __init__(self, said: str, quotes: bool = True) -> None:
        super().__init__(said)
        self.said = said
        self.quotes = quotes

    def told(self, log: MaskedLog, mask: Mask) -> StepError:
        """Return it as users see it."""
        if not self.quotes:
            return StepError(mask(self.said))
        return StepError(
            f"{mask(self.said)}The last of its log:\n{log.last_lines(QUOTED_LINES)}"
            f"The whole log: {log.path}\nThe same command goes on from what is finished."
        )


def failed(step: str, told: Mapping[str, Any], out_of_memory: str) -> FailedJobError:
    """Return what the worker told of the job's error.

    Args:
        out_of_memory: What to change when memory runs out.
    """
    if told["kind"] == "user":
        message = told["message"].removeprefix(f"Step {step!r}: ")  # a job may name its step itself
        return FailedJobError(f"Step {step!r}: {message}", quotes=False)
    if told["kind"] == "memory":
        return _memory(step, told["message"], out_of_memory)
    return FailedJobError(
        f"Step {step!r} broke in its environment: {told['message']}\n"
        f"This is a fault of the component or of its environment. "
    )


def died(step: str, code: int | None, out_of_memory: str) -> FailedJobError:
    """Return what the exit of a worker says whose job was not done; no code: it runs, but closed the connection."""
    if code is None:
        return FailedJobError(f"Step {step!r}: its worker closed the connection before its job was done.\n")
    if code == -signal.SIGKILL:
        what = "its worker was killed (signal 9), as a system does when memory runs out"
        return _memory(step, what, out_of_memory)
    how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    return FailedJobError(f"Step {step!r}: its worker ended with {how} before its job was done.\n")


def _memory(step: str, what: str, out_of_memory: str) -> FailedJobError:
    advice = f"Change: {out_of_memory}\n" if out_of_memory else ""
    return FailedJobError(f"Step {step!r} ran out of memory: {what}.\n{advice}")
