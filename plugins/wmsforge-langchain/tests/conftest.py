"""What the tests of LangChain's folders share: opened retrievers, and a watch over execution."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))

from wmsforge_langchain.retriever import LangChainFaissRetriever
from word_embedder import Open, WordEmbedder

from wmsforge.steps.embedder import Embedder
from wmsforge.testing import LocalContext


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
