"""Calls that were made and are not answered yet: a run that parks lets them end, since they are paid for."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from wmsforge.errors import ParkedError


class UnderWay:
    """The calls under way of all providers of a run."""

    def __init__(self) -> None:
        self._count = 0
        self._parked: ParkedError | None = None
        self._ended = asyncio.Event()

    async def enter(self) -> None:
        """Begin a call.

        Raises:
            ParkedError: If the run parks; raised when the calls under way have ended.
        """
        if self._parked is not None:
            await self.park(self._parked)
        self._count += 1

    def leave(self) -> None:
        """End a call."""
        self._count -= 1
        if self._count == 0:
            self._ended.set()

    async def park(self, why: ParkedError) -> NoReturn:
        """Let no further call begin, wait until those under way have ended, then raise.

        Raises:
            ParkedError: Always: `why`, or the first reason there was to park.
        """
        if self._parked is None:
            self._parked = why
        while self._count:
            self._ended.clear()
            await self._ended.wait()
        raise self._parked
