"""An embedder that calls a provider, behind the same limits as chat models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wmsforge.errors import RecordError
from wmsforge.run.events import Events, now
from wmsforge.run.provider import Call, Provider, Tries
from wmsforge.run.tasks import first_error_only
from wmsforge.steps.chat_model import Usage
from wmsforge.steps.embedder import USED_TOKENS, Embedder
from wmsforge.store.ledger import EMBEDDING, Attempt, Caller, Ledger

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]


class LimitedEmbedder(Embedder):
    """One step's handle of an embedder: limited, retried and counted.

    The ledger keeps the vectors of queries; those of passages an index keeps, by the text they belong to.
    """

    def __init__(self, embedder: Embedder, provider: Provider, caller: Caller, ledger: Ledger, events: Events) -> None:
        super().__init__(embedder.options, embedder.context)
        self._embedder = embedder
        self._provider = provider
        self._caller = caller
        self._ledger = ledger
        self._tries = Tries(provider, caller, ledger, events)
        self.counts = self._tries.counts
        self.name = provider.name
        self.batch_texts = embedder.batch_texts
        self.calls_at_once = provider.options.concurrency

    def inputs(self) -> Sequence[Path]:
        return self._embedder.inputs()

    def encoding(self) -> dict[str, Any]:
        return self._embedder.encoding()

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed_passages`."""
        return await self._all(texts, self._embedder.embed_passages)

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed_queries`; a query that was embedded before is not sent again."""
        import numpy as np

        keys = [self._query_key(text) for text in texts]
        known = self._ledger.vectors(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            made = await self._all(list(missing.values()), self._embedder.embed_queries)
            new = {key: vector.astype("<f4").tobytes() for key, vector in zip(missing, made, strict=True)}
            self._ledger.put_vectors(new)
            known |= new
        rows = [np.frombuffer(known[key], "<f4") for key in keys]
        return np.stack(rows) if rows else np.empty((0, self.dimension), np.float32)

    def _query_key(self, text: str) -> bytes:
        encoding = json.dumps(self.encoding(), ensure_ascii=False, sort_keys=True)
        return blake2b(f"query\n{encoding}\n{text}".encode(), digest_size=16).digest()

    async def _all(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Awaitable[Vectors]]) -> Vectors:
        import numpy as np

        size = self._embedder.batch_texts
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        if len(batches) <= 1:
            return await self._batch(texts, embed)
        async with first_error_only(), asyncio.TaskGroup() as group:
            made = [group.create_task(self._batch(batch, embed)) for batch in batches]
        return np.concatenate([task.result() for task in made])

    async def _batch(self, texts: Sequence[str], embed: Callable[[Sequence[str]], Awaitable[Vectors]]) -> Vectors:
        key = blake2b("\0".join(texts).encode(), digest_size=16).digest()
        most = Usage(prompt_tokens=sum(len(text.encode()) for text in texts))
        used: list[int] = []

        async def ask() -> Vectors:
            used.clear()
            USED_TOKENS.set(used)
            return await embed(texts)

        def usage(_: Vectors) -> Usage:
            return Usage(prompt_tokens=sum(used))

        def store(outcome: Vectors | RecordError, cost_usd: float | None, row: int | None) -> None:
            attempt = Attempt(EMBEDDING, usage=Usage(prompt_tokens=sum(used)), cost_usd=cost_usd)
            self._ledger.add(key, self._caller, attempt, now(), row)

        return await self._tries.make(Call(key, lambda: most), ask, usage, store)
