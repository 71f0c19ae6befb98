"""Every error wmsforge raises, named by its consequence.

    WmsforgeError
      RecipeError          before anything runs: the recipe is wrong             (exit 2)
      PluginError          before anything runs: a plugin is missing or broken   (exit 3)
        MissingDependencyError  also an ImportError: a package is not installed
      StepError            stops the run, keeps every store                      (exit 4)
        WorkspaceBusyError    another process runs in the same workspace
        AuthenticationError   a provider takes no key, or not this one
      ParkedError          quota or budget reached: run again later              (exit 5)
      RecordError          rejects one record, the run goes on
      RetryableError       tries the same call again after a pause

The first line of a message says where, what was asked and what was found; the second says what
to do, best as a command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

LONGEST_WAIT_S = 366 * 86_400.0
"""A server's hint of more than a year is taken for a year."""


class WmsforgeError(Exception):
    """Base of all errors that wmsforge raises on purpose."""

    exit_code = 1


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a recipe: where it stands (1-based) and what to do about it."""

    line: int
    column: int
    where: str
    message: str

    def render(self, path: str) -> str:
        """Return `path:line:column  where: message`."""
        place = f"{path}:{self.line}:{self.column}" if self.line else path
        return f"{place}  {self.where}: {self.message}" if self.where else f"{place}  {self.message}"


class RecipeError(WmsforgeError):
    """The recipe is wrong. Carries all its problems at once, in the order of the file."""

    exit_code = 2

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems)
        lines = [problem.render(path) for problem in self.problems]
        count = len(lines)
        lines.append(f"{path} has {count} error{'s' if count > 1 else ''}; nothing was run.")
        super().__init__("\n".join(lines))


class PluginError(WmsforgeError):
    """A plugin is missing, disabled, broken, or clashes with another."""

    exit_code = 3


class MissingDependencyError(PluginError, ImportError):
    """A package that a component needs is not installed."""

    def __init__(self, component: str, package: str, install: str) -> None:
        super().__init__(f"{component} needs the package {package!r}, which is not installed.\nInstall it: {install}")


class StepError(WmsforgeError):
    """A step cannot go on. What it stored stays, the same command continues."""

    exit_code = 4


class WorkspaceBusyError(StepError):
    """Another process holds the workspace."""


class AuthenticationError(StepError):
    """A provider does not take the key, or it cannot be one. One line: the engine adds which variable holds the key."""


class ParkedError(WmsforgeError):
    """A quota or budget is used up. Everything is stored; the same command continues later.

    Args:
        message: What is used up, and when it is there again.
        reset_at: When the same command can go on, ISO 8601 with zone; None when that needs a decision.
        options: What the command needs to go on before that, such as `("--set", "budget.usd=2")`.
    """

    exit_code = 5

    def __init__(self, message: str, reset_at: str | None = None, options: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reset_at = reset_at
        self.options = tuple(options)


class RecordError(WmsforgeError):
    """One record cannot be used.

    Args:
        reason: A short code, counted and shown per step; those of model calls are in `wmsforge.reasons`.
        detail: A sentence for people.
        raw: What the model or the file gave, kept beside the rejected record.
        usage: Tokens that a provider counted for a call that gave nothing usable, as fields of
            `wmsforge.steps.chat_model.Usage`. A chat model that sets it was paid for its answer: the
            engine stores the failure and does not ask the same again.
    """

    def __init__(
        self, reason: str, detail: str = "", raw: str | None = None, usage: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.raw = raw
        self.usage = usage


class RetryableError(WmsforgeError):
    """A call failed in a way that may pass: a rate limit, a server error, a dropped connection.

    Args:
        reason: The code that stands when every attempt failed, see `wmsforge.reasons`.
        after_s: Seconds the server asked to wait, None when it said nothing; held between 0 and `LONGEST_WAIT_S`.
        raw: What the server sent.
        usage: Tokens that the provider counted for this try, as for `RecordError`.
        reached: False where nothing was sent, since there was no connection: it cost nothing and counts nowhere.
    """

    def __init__(
        self,
        reason: str,
        detail: str = "",
        after_s: float | None = None,
        raw: str | None = None,
        usage: Mapping[str, int] | None = None,
        reached: bool = True,
    ) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.after_s = None if after_s is None else min(max(after_s, 0.0), LONGEST_WAIT_S)
        self.raw = raw
        self.usage = usage
        self.reached = reached


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ` Did you mean 'a' or 'b'?` for close names, else an empty string."""
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    if not close:
        return ""
    return " Did you mean " + " or ".join(repr(match) for match in close) + "?"
