"""A circuit breaker: when nothing gets through any more, one call asks for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

IN_A_ROW = 10
"""Failures without a success between them, after which calls wait."""
FIRST_S, MOST_S = 1.0, 60.0
"""The pause before the first call that asks for all, and before later ones at most; a server's hint comes first."""


class Breaker:
    """Lets calls pass; after `IN_A_ROW` failures it makes them wait, and lets one at a time try again.

    Args:
        opened: Told the seconds of the pause and the last failure, each time calls begin to wait.
    """

    def __init__(self, opened: Callable[[float, str], None]) -> None:
        self._opened = opened
        self._failed = 0
        self._pauses = 0
        self._down_since: float | None = None
        self._open = False
        self._again_at = 0.0
        self._asking = False
        self._news = asyncio.Event()

    @property
    def down_s(self) -> float:
        """Seconds since calls began to fail one after another, 0 while they do not."""
        return 0.0 if self._down_since is None else time.monotonic() - self._down_since

    async def enter(self) -> bool:
        """Wait until a call may pass. True means that it asks for all others, and must `leave`."""
        while self._open:
            if self._asking:
                await self._news.wait()
                continue
            self._asking = True
            try:
                await asyncio.sleep(max(0.0, self._again_at - time.monotonic()))
            except BaseException:
                self.leave()
                raise
            return True
        return False

    def leave(self) -> None:
        """The call that asked for all others has ended."""
        self._asking = False
        self._tell()

    def succeeded(self) -> None:
        """A call got through."""
        self._failed = self._pauses = 0
        self._down_since = None
        if self._open:
            self._open = False
            self._tell()

    def failed(self, why: str, hint_s: float | None) -> None:
        """A call failed in a way that says something about the server.

        Args:
            why: What it said, for people.
            hint_s: Seconds it asked to wait.
        """
        self._failed += 1
        if self._down_since is None:
            self._down_since = time.monotonic()
        if self._failed < IN_A_ROW:
            return
        news = not self._open or self._asking
        pause_s = hint_s if hint_s is not None else min(MOST_S, FIRST_S * 2**self._pauses)
        self._again_at = max(self._again_at, time.monotonic() + pause_s)
        self._open = True
        if news:
            self._pauses += 1
            self._opened(pause_s, why)

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
