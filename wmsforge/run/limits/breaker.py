"""A circuit breaker: when nothing gets through any more, one call asks for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from wmsforge.run.limits.clock import now_s

IN_A_ROW = 10
"""Failures without a success between them, after which calls wait."""
SHORT_HINT_S = 0.5
"""A server that asks for less says no more than "again": such failures back off as those without a hint do."""
THROTTLED_S = 1.0
"""How long they must go on where the server says that there are too many calls: it may be at work on the others."""
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
        self._failing_since: float | None = None
        self.is_open = False
        """Whether calls wait."""
        self._again_at = 0.0
        self._asking = False
        self._news = asyncio.Event()

    @property
    def down_s(self) -> float:
        """Seconds since calls began to fail one after another, 0 while calls may pass."""
        return self._failing_s if self.is_open else 0.0

    async def enter(self) -> bool:
        """Wait until a call may pass. True means that it asks for all others, and must `leave`."""
        while self.is_open:
            if self._asking:
                await self._news.wait()
                continue
            self._asking = True
            try:
                while self.is_open and (pause_s := self._again_at - now_s()) > 0:
                    # A late failure may prolong the pause, and a late success end it.
                    news = self._news
                    try:
                        async with asyncio.timeout(pause_s):
                            await news.wait()
                    except TimeoutError:
                        continue
            except BaseException:
                self.leave()
                raise
            if self.is_open:
                return True
            self.leave()
        return False

    def leave(self) -> None:
        """The call that asked for all others has ended."""
        self._asking = False
        self._tell()

    def succeeded(self) -> None:
        """A call got through."""
        self._failed = self._pauses = 0
        self._failing_since = None
        if self.is_open:
            self.is_open = False
            self._tell()

    def failed(self, why: str, hint_s: float | None, *, throttled: bool = False) -> None:
        """A call failed in a way that says something about the server.

        Args:
            why: What it said, for people.
            hint_s: Seconds it asked to wait.
            throttled: Whether it only said that there are too many calls.
        """
        self._failed += 1
        if self._failing_since is None:
            self._failing_since = now_s()
        if self._failed < IN_A_ROW or (throttled and not self.is_open and self._failing_s < THROTTLED_S):
            return
        news = not self.is_open or self._asking
        pause_s = min(MOST_S, FIRST_S * 2**self._pauses)
        if hint_s is not None and hint_s >= SHORT_HINT_S:
            pause_s = hint_s
        self._again_at = max(self._again_at, now_s() + pause_s)
        self.is_open = True
        if news:
            self._pauses += 1
            self._opened(pause_s, why)

    @property
    def _failing_s(self) -> float:
        return 0.0 if self._failing_since is None else now_s() - self._failing_since

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
