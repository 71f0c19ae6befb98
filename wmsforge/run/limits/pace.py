"""Requests and tokens a minute, together: a call waits until there is room for it in both."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wmsforge.run.limits.window import MINUTE_S, Window

REMEMBERED_S = MINUTE_S + 1
"""The ledger's times are whole seconds, so a request may be up to one second younger than it says."""


class Pace:
    """Lets calls pass at the speed that is allowed, first come, first served.

    Args:
        requests: Requests in any minute at most, None for no limit.
        tokens: Tokens in any minute at most, None for no limit.
        used: (seconds ago, tokens) of each request of earlier processes in the last `REMEMBERED_S`.
    """

    def __init__(self, requests: int | None, tokens: int | None, used: Sequence[tuple[float, float]]) -> None:
        used = [(max(0.0, ago - 1), amount) for ago, amount in used]
        self._requests = None if requests is None else Window(requests, [(ago, 1) for ago, _ in used])
        self._tokens = None if tokens is None else Window(tokens, used)
        self._turns = asyncio.Lock()
        self._room = asyncio.Event()

    async def enter(self, tokens: int) -> list[float] | None:
        """Wait until a call may be made; what comes back is for `settle`.

        Args:
            tokens: What it may use at most, prompt and answer.
        """
        async with self._turns:
            while pause_s := self._wait_s(tokens):
                self._room.clear()
                try:
                    async with asyncio.timeout(pause_s):
                        await self._room.wait()  # a call that used less than it might have makes room at once
                except TimeoutError:
                    continue
            if self._requests is not None:
                self._requests.take(1)
            return None if self._tokens is None else self._tokens.take(tokens)

    def settle(self, entry: list[float] | None, tokens: int) -> None:
        """Say how many tokens the call really used."""
        if self._tokens is not None and entry is not None:
            self._tokens.settle(entry, tokens)
            self._room.set()

    def _wait_s(self, tokens: int) -> float:
        requests_s = 0.0 if self._requests is None else self._requests.wait_s(1)
        return max(requests_s, 0.0 if self._tokens is None else self._tokens.wait_s(tokens))
