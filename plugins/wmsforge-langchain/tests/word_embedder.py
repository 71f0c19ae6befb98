"""An embedder by words, for tests of indexes: quick, and the same text has the same vector."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from wmsforge_langchain.retriever import LangChainFaissRetriever

from wmsforge.options import Options
from wmsforge.steps.embedder import Embedder
from wmsforge.testing import LocalContext

Open = Callable[..., Awaitable[LangChainFaissRetriever]]
"""The fixture `open_retriever`."""


class WordEmbedder(Embedder):
    """Embeds by hashed words; another `model` hashes otherwise."""

    class Options(Options):
        model: str = "words"
        dimension: int = 64

    def __init__(self, options: Any, context: LocalContext) -> None:
        super().__init__(options, context)
        self.embedded: list[str] = []

    @property
    def dimension(self) -> int:
        return int(self.options.dimension)

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.embedded += texts
        return self.vectors(texts)

    async def embed_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.vectors(texts)

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                digest = hashlib.blake2b(f"{self.options.model}{word}".encode(), digest_size=4).digest()
                vectors[row, int.from_bytes(digest) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
