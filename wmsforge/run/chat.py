"""Calling a chat model: the ledger first, then a slot, then tries until the provider answers."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from wmsforge.errors import ParkedError, RecordError, RetryableError
from wmsforge.run.events import Events, now
from wmsforge.run.observers import watchers
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse
from wmsforge.store.ledger import Ledger, call_key
from wmsforge.store.manifest import CallCounts

BACKOFF_FIRST_S = 1.0
BACKOFF_MOST_S = 60.0
SAY_AFTER_S = 10.0
"""Pauses longer than this are told to the user."""
PARK_AFTER_S = 900.0
"""A server that asks for a longer pause than this ends the run until then."""


@dataclass
class OpenModel:
    """A chat model that all steps of a run share."""

    id: str
    model: ChatModel
    identity: dict[str, Any]
    name: str
    slots: asyncio.Semaphore
    under_way: dict[bytes, asyncio.Future[ChatResponse]] = field(default_factory=dict)
    """Calls in flight by key: the same call asked twice at once is made once."""


class LedgeredChat:
    """A `wmsforge.steps.chat_model.Chat` of one step."""

    def __init__(self, step: str, shared: OpenModel, ledger: Ledger, events: Events, run: str, hook: Any) -> None:
        self.name = shared.name
        self.instruct = shared.model.instruct
        self.counts = CallCounts()
        self._step = step
        self._shared = shared
        self._ledger = ledger
        self._events = events
        self._run = run
        self._watchers = watchers(hook, "call_finished", events)

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """See `Chat.complete`."""
        written = request.model_dump_json()
        key = call_key(self._shared.identity, written)
        stored = self._ledger.get(key)
        if stored is not None:
            self.counts.reused += 1
            self._tell(0.0, stored, reused=True)
            return stored
        while (twin := self._shared.under_way.get(key)) is not None:
            await asyncio.wait([twin])
            if not twin.cancelled():  # else whoever asked was stopped, and the call is still to be made
                response = twin.result()
                self.counts.reused += 1
                self._tell(0.0, response, reused=True)
                return response
        call = self._shared.under_way[key] = asyncio.get_running_loop().create_future()
        try:
            response = await self._ask(key, request, written)
            call.set_result(response)
            return response
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                call.cancel()
            else:
                call.set_exception(error)
                call.exception()  # a twin may not be waiting: mark the exception as seen
            raise
        finally:
            del self._shared.under_way[key]

    async def _ask(self, key: bytes, request: ChatRequest, written: str) -> ChatResponse:
        """Try until there is a response; it is in the ledger before this returns."""
        options = self._shared.model.options
        for attempt in range(1, options.max_attempts + 1):
            try:
                async with self._shared.slots:
                    start = time.perf_counter()
                    response = await self._try(request, options.timeout_s)
                    # Stored while the slot is held: what a crash can cost is what the slots hold.
                    self._ledger.put(
                        key,
                        step=self._step,
                        model=self._shared.name,
                        request=written,
                        response=response,
                        run=self._run,
                    )
            except RetryableError as error:
                if attempt == options.max_attempts:
                    detail = f"{attempt} attempts failed, the last with: {error.detail or error.reason}"
                    raise RecordError(error.reason, detail) from error
                self.counts.retries += 1
                pause_s = _pause(attempt, error.after_s)
                self._check_patience(error, pause_s)
                await asyncio.sleep(pause_s)
                continue
            self.counts.calls += 1
            self.counts.prompt_tokens += response.usage.prompt_tokens
            self.counts.completion_tokens += response.usage.completion_tokens
            self._tell(time.perf_counter() - start, response, reused=False)
            return response
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _check_patience(self, error: RetryableError, pause_s: float) -> None:
        """Say why the run is slow when a pause is long; stop where waiting is for another day."""
        if pause_s > PARK_AFTER_S:
            raise ParkedError(
                f"Model {self.name!r} asks to wait {pause_s / 60:,.0f} minutes ({error.reason}).\n"
                f"Everything so far is stored. Run the same command again after that; stored calls are not made again."
            )
        if pause_s > SAY_AFTER_S:
            self._events.warn(self._step, f"model {self.name!r} asks to wait {pause_s:.0f} s ({error.reason})")

    async def _try(self, request: ChatRequest, timeout_s: float) -> ChatResponse:
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._shared.model.complete(request)
        except TimeoutError as error:
            raise RetryableError("timeout", f"no answer within {timeout_s:g} s") from error
        return response if response.created_at else response.model_copy(update={"created_at": now()})

    def _tell(self, seconds: float, response: ChatResponse, *, reused: bool) -> None:
        if self._watchers is not None:
            self._watchers(
                step=self._step,
                model=self.name,
                seconds=seconds,
                usage=response.usage.model_dump(),
                reused=reused,
            )


def _pause(attempt: int, hint_s: float | None) -> float:
    """Return seconds to wait: the server's hint at least, else full jitter over a doubling range."""
    jittered = random.uniform(0, min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** (attempt - 1)))
    return jittered if hint_s is None else hint_s + jittered * 0.1
