"""Calls made and not answered yet: a run that stops at a provider lets them end, since they are paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NoReturn

from wmsforge.errors import ParkedError, StepError


class UnderWay:
    """The calls under way of all providers of a run.

    Args:
        ending: Told how many calls must end before the run stops, and why it stops.
    """

    def __init__(self, ending: Callable[[int, str], None] = lambda calls, why: None) -> None:
        self._ending = ending
        self._count = 0
        self._stopped: ParkedError | StepError | None = None
        self._ended = asyncio.Event()

    async def enter(self) -> None:
        """Begin a call.

        Raises:
            ParkedError, StepError: If the run stops; raised when the calls under way have ended.
        """
        if self._stopped is not None:
            await self.stop(self._stopped)
        self._count += 1

    def leave(self) -> None:
        """End a call."""
        self._count -= 1
        if self._count == 0:
            self._ended.set()

    async def stop(self, why: ParkedError | StepError) -> NoReturn:
        """Let no further call begin, wait until those under way have ended, then raise.

        Raises:
            ParkedError, StepError: Always: `why`, or the first reason there was to stop.
        """
        if self._stopped is None:
            self._stopped = why
            if self._count:
                self._ending(self._count, str(why).splitlines()[0])
        while self._count:
            self._ended.clear()
            await self._ended.wait()
        raise self._stopped
