"""What the tests of LangChain's folders share: an embedder by words, opened retrievers, and a watch over execution."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

sys.path.append(str(Path(__file__).parent))

from wmsforge_langchain.retriever import LangChainFaissRetriever

from wmsforge.options import Options
from wmsforge.steps.embedder import Embedder
from wmsforge.testing import LocalContext


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


Open = Callable[..., Awaitable[LangChainFaissRetriever]]


@pytest.fixture
def embedder(tmp_path: Path) -> WordEmbedder:
    return WordEmbedder(WordEmbedder.Options(), LocalContext(tmp_path))


@pytest.fixture
def open_retriever(tmp_path: Path, embedder: WordEmbedder) -> Open:
    """Open a retriever over a folder."""

    async def open_(folder: Path, with_embedder: Embedder | None = None, **options: Any) -> LangChainFaissRetriever:
        context = LocalContext(tmp_path / "step", {"words": with_embedder or embedder}, step="index")
        own = LangChainFaissRetriever.Options.model_validate({"path": str(folder), "embedder": "words", **options})
        retriever = LangChainFaissRetriever(own, context)
        await retriever.open()
        return retriever

    return open_


_WATCHED = ("import", "exec", "compile", "open", "pickle.find_class", "os.", "subprocess.", "ctypes.", "socket.")
_seen: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event.startswith(_WATCHED):
        _seen.append(f"{event} {arguments!r}"[:200])


sys.addaudithook(_watch)  # it cannot be taken away again, and costs next to nothing while no one looks


@contextmanager
def _watching() -> Iterator[list[str]]:
    global _seen
    seen: list[str] = []
    _seen = seen
    try:
        yield seen
    finally:
        _seen = None


@pytest.fixture
def watching() -> Callable[[], Any]:
    """Watch, by the interpreter's own audit events, what is imported, run, compiled or opened meanwhile."""
    "\udc80".encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # the codec's own import
    return _watching
