"""Drives a run to its end, or to a clean stop when a signal comes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wmsforge.cli.progress import Progress
from wmsforge.errors import WmsforgeError
from wmsforge.run.runner import Runner

SHOW_CURSOR = b"\x1b[?25h"


def drive(runner: Runner, progress: Progress) -> signal.Signals | None:
    """Run; return the signal that stopped it, None when it went to its end.

    Raises:
        WmsforgeError: What `Runner.execute` raises.
    """
    driver = _Driver(runner, progress)
    with driver.handling_signals():
        try:
            return asyncio.run(driver.run())
        finally:
            progress.close()


class _Driver:
    def __init__(self, runner: Runner, progress: Progress) -> None:
        self._runner = runner
        self._progress = progress
        self._received: signal.Signals | None = None
        self._task: asyncio.Task[object] | None = None

    async def run(self) -> signal.Signals | None:
        self._task = asyncio.create_task(self._runner.execute())
        ticking = asyncio.create_task(self._tick())
        if self._received:  # it came before there was a task to cancel
            self._stop()
        try:
            await self._task
        except asyncio.CancelledError:
            return self._received
        except WmsforgeError as error:
            if self._received is None:
                raise
            self._progress.say(f"warning: while stopping: {error}", "yellow")
            return self._received
        finally:
            ticking.cancel()
        return None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._progress.tick_s)
            self._progress.tick()

    def _stop(self) -> None:
        assert self._task is not None  # called from the loop, after run() made it
        again = "Ctrl-C" if self._received == signal.SIGINT else "This signal"
        self._progress.say(f"Stopping; {again} again kills at once, and nothing is lost either way.")
        self._task.cancel()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        signal.signal(number, signal.SIG_DFL)  # the second one kills, whatever the process is doing then
        if self._progress.console.is_terminal:
            os.write(self._progress.console.file.fileno(), SHOW_CURSOR)  # a killed process cannot give it back
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._stop)

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM, unless whoever started the process had them ignored."""
        numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)
