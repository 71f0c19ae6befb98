"""Calling a chat model: the ledger first, then its provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from wmsforge.errors import RecordError
from wmsforge.run.events import Events, now
from wmsforge.run.observers import watchers
from wmsforge.run.provider import Call, Provider, Tries
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, Usage
from wmsforge.store.call_keys import CallKeys
from wmsforge.store.ledger import Caller, Ledger

ASKED: ContextVar[list[bytes] | None] = ContextVar("ASKED", default=None)
"""Keys of the calls asked for one item, when someone collects them."""

TEMPLATE_TOKENS = 100
"""What a provider's chat template may add to a prompt."""
LEARNT_FROM = 10
"""Calls after which the tokens of a prompt are estimated by those of the calls before."""


@dataclass
class OpenModel:
    """A chat model that all steps of a run share."""

    model: ChatModel
    keys: CallKeys
    provider: Provider
    under_way: dict[bytes, asyncio.Future[ChatResponse]] = field(default_factory=dict)
    """Calls in flight of all models by key: the same call asked twice at once is made once."""
    stays_failed: Mapping[bytes, RecordError] = field(default_factory=dict)
    """Calls that are not to be tried again in this run, and what their record was rejected for."""
    tokens_per_byte: float = 1.0
    """Most tokens seen for a byte of a request; at first the most there can be."""
    measured: int = 0


class LedgeredChat:
    """A `wmsforge.steps.chat_model.Chat` of one step."""

    def __init__(self, caller: Caller, shared: OpenModel, ledger: Ledger, events: Events, hook: Any) -> None:
        self.name = shared.provider.name
        self.instruct = shared.model.instruct
        self._caller = caller
        self._shared = shared
        self._ledger = ledger
        self._tries = Tries(shared.provider, caller, ledger, events)
        self.counts = self._tries.counts
        self._watchers = watchers(hook, "call_finished", events)

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """See `Chat.complete`."""
        written = request.model_dump_json()
        key = self._shared.keys.key(written)
        if (asked := ASKED.get()) is not None:
            asked.append(key)
        stored = self._ledger.get(key)
        if stored is not None:
            self.counts.reused += 1
            if isinstance(stored, RecordError):
                raise stored
            self._tell(0.0, stored, reused=True)
            return stored
        if (failed := self._shared.stays_failed.get(key)) is not None:
            self.counts.reused += 1
            raise self._ledger.failure(key) or failed
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
        start = 0.0

        async def ask() -> ChatResponse:
            nonlocal start
            start = time.perf_counter()
            response = await self._shared.model.complete(request)
            return response if response.created_at else response.model_copy(update={"created_at": now()})

        def store(outcome: ChatResponse | RecordError, cost_usd: float | None, row: int | None) -> None:
            self._ledger.put(key, self._caller, written, outcome, cost_usd=cost_usd, at=now(), attempt=row)

        call = Call(key, lambda: self._most(request, written))
        response = await self._tries.make(call, ask, _usage, store)
        if self._shared.provider.counts_ahead:
            self._learn(written, response.usage)
        self._tell(time.perf_counter() - start, response, reused=False)
        return response

    def _most(self, request: ChatRequest, written: str) -> Usage:
        """Return what a call may use at most. A token is a byte of text at least; max_tokens holds thoughts too."""
        size = len(written.encode())
        if self._shared.provider.purse is None and self._shared.measured >= LEARNT_FROM:
            size = round(size * self._shared.tokens_per_byte)
        return Usage(prompt_tokens=size + TEMPLATE_TOKENS, completion_tokens=request.max_tokens)

    def _learn(self, written: str, usage: Usage) -> None:
        seen = usage.prompt_tokens / len(written.encode())
        first = self._shared.measured == 0
        self._shared.tokens_per_byte = seen if first else max(self._shared.tokens_per_byte, seen)
        self._shared.measured += 1

    def _tell(self, seconds: float, response: ChatResponse, *, reused: bool) -> None:
        if self._watchers is not None:
            self._watchers(
                step=self._caller.step,
                model=self.name,
                seconds=seconds,
                usage=response.usage.model_dump(),
                reused=reused,
            )


def _usage(response: ChatResponse) -> Usage:
    return response.usage
