"""The clock of all limits: the event loop's own, so that a test's loop may let hours pass at once."""

from __future__ import annotations

import asyncio


def now_s() -> float:
    """Return the running event loop's time in seconds; it only ever goes forward."""
    return asyncio.get_running_loop().time()
