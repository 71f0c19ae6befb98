"""Task groups that fail with the error itself and not with a group around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wmsforge.errors import WmsforgeError


@asynccontextmanager
async def first_error_only() -> AsyncIterator[None]:
    """Raise the most telling error of an exception group: one of ours before any other."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(_leaves(group))
        raise next((error for error in errors if isinstance(error, WmsforgeError)), errors[0]) from group


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves
