"""Work on many items at once, hand over the results in the order of the items."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, NoReturn, TypeVar

from wmsforge.errors import StepError
from wmsforge.run.tasks import first_error_only

T = TypeVar("T")
U = TypeVar("U")

WINDOW_PER_WORKER = 16
"""Results that may wait for a slower one before them, per worker; bounds memory."""


async def _raise(error: StepError) -> NoReturn:
    raise error


class _Slot(Generic[T, U]):
    __slots__ = ("done", "item", "result")

    def __init__(self, item: T) -> None:
        self.item = item
        self.done = False
        self.result: U


async def run_ordered(
    batches: AsyncIterator[list[T]],
    work: Callable[[T], Awaitable[U]],
    emit: Callable[[T, U], None],
    *,
    workers: int,
    stop: Callable[[StepError], Awaitable[NoReturn]] = _raise,
) -> None:
    """Call `work` on every item, `workers` at a time, and `emit(item, result)` in the items' order.

    `work` must turn an item's own errors into results; an exception stops everything, and a StepError of `emit`
    is given to `stop` before it does.
    """
    slots: deque[_Slot[T, U]] = deque()
    todo: asyncio.Queue[_Slot[T, U] | None] = asyncio.Queue(maxsize=workers)
    room = asyncio.Semaphore(workers * WINDOW_PER_WORKER)

    async def feed() -> None:
        async for batch in batches:
            for item in batch:
                await room.acquire()
                slot: _Slot[T, U] = _Slot(item)
                slots.append(slot)
                await todo.put(slot)
        for _ in range(workers):
            await todo.put(None)

    async def labour() -> None:
        while (slot := await todo.get()) is not None:
            slot.result = await work(slot.item)
            slot.done = True
            while slots and slots[0].done:
                first = slots.popleft()
                room.release()
                try:
                    emit(first.item, first.result)
                except StepError as error:
                    await stop(error)

    async with first_error_only(), asyncio.TaskGroup() as group:
        group.create_task(feed())
        for _ in range(workers):
            group.create_task(labour())
