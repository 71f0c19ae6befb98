"""Embedder: texts in, unit vectors out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from wmsforge.prices import Price
from wmsforge.steps.base import Component
from wmsforge.steps.limits import listed_price

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


USED_TOKENS: ContextVar[list[int] | None] = ContextVar("USED_TOKENS", default=None)
"""Token counts of the call under way, when someone collects them."""


class Embedder(Component):
    """Turns texts into vectors whose dot product is their similarity.

    One that calls a provider takes `wmsforge.steps.limits.LimitOptions` as base of its options and raises what
    `ChatModel.complete` raises: the engine then limits and retries its calls, one call for all texts it is given,
    and counts them.
    """

    batch_texts: int = 64
    """Texts that one call of such an embedder takes at most."""
    calls_at_once: int = 1
    """Calls that are worth making at the same time; the engine sets it for such an embedder."""

    def count_tokens(self, tokens: int) -> None:
        """Add to what the call under way used; called by embedders whose provider tells."""
        if (used := USED_TOKENS.get()) is not None:
            used.append(tokens)

    def encoding(self) -> dict[str, Any]:
        """Return the JSON values that decide a text's vector, the bytes of `inputs` aside."""
        kind = type(self)
        return {
            "embedder": f"{kind.__module__}:{kind.__qualname__}",
            "embedder_version": kind.version,
            "embedder_options": self.identity(),
        }

    def quota(self) -> str:
        """See `ChatModel.quota`."""
        return ""

    def price(self) -> Price | None:
        """See `ChatModel.price`; only `input` counts."""
        return listed_price(self.options)

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Length of the vectors; known after `open`."""

    @abstractmethod
    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors of texts to be found, shape (len(texts), dimension)."""

    @abstractmethod
    async def embed_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors of texts to search with, shape (len(texts), dimension)."""
