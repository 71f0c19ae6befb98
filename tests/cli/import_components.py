"""Tiny components for the tests of import-index: an index made elsewhere, and one that keeps vectors by text."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from wmsforge.errors import RecordError, RetryableError, StepError
from wmsforge.hookspecs import Register, hookimpl
from wmsforge.options import EmbedderRef, Options, RetrieverRef
from wmsforge.records import Artifact, Document, Retrieved, content_id
from wmsforge.steps.embedder import Embedder
from wmsforge.steps.loader import Loader
from wmsforge.steps.retriever import Retriever
from wmsforge.steps.vectors import Embedded, VectorSource, VectorTarget


def read(path: str) -> list[Document]:
    texts = (Path(path) / "crate.txt").read_text(encoding="utf-8").splitlines()
    return [Document(id=content_id(text), text=text, path=path, sha256="0" * 64) for text in texts]


class Lengths(Embedder):
    class Options(Options):
        turned: bool = Field(default=False, description="Another model.")

    dimension = 2

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        angles = np.array([len(text) / 100 + self.options.turned for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    embed_queries = embed_passages


class Crates(Loader):
    class Options(Options):
        path: str = Field(description="Folder with crate.txt.")

    def inputs(self) -> Sequence[Path]:
        return [Path(self.options.path) / "crate.txt"]

    sources = inputs

    def load(self, source: Path | str) -> Iterable[Document]:
        return read(self.options.path)


class Crate(Retriever, VectorSource):
    """An index made elsewhere: texts in crate.txt, embedded by Lengths."""

    class Options(Options):
        path: str = Field(description="Folder with crate.txt.")
        embedder: EmbedderRef = Field(description="What made it.")
        fail: bool = Field(default=False, description="Fail as a provider does.")

    reads_documents = False

    def inputs(self) -> Sequence[Path]:
        file = Path(self.options.path) / "crate.txt"
        if not file.is_file():
            raise RecordError("no_index", f"There is no file {file}.")
        return [file]

    async def open(self) -> None:
        self._embedder = await self.context.embedder(self.options.embedder)

    async def build(self, documents: Iterable[Document]) -> Artifact:
        facts = {"passages": len(read(self.options.path)), "encoded": 0}
        return Artifact(kind="index", path=self.options.path, facts=facts)

    async def load(self) -> None: ...

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        return []

    async def embedded(self) -> Embedded:
        if self.options.fail:
            raise RetryableError("timeout", "no answer")
        if self._embedder.options.turned:
            raise StepError("made by another model.\nTake that one.")
        documents = read(self.options.path)
        self.context.warn("the crate is old")
        vectors = await self._embedder.embed_passages([document.text for document in documents])
        return Embedded(documents, vectors, {"use": "crates", "path": self.options.path})


class Shelf(Retriever, VectorTarget):
    """Keeps vectors by text; one longer than ten characters it would cut."""

    class Options(Options):
        embedder: EmbedderRef = Field(description="Embeds.")

    async def open(self) -> None:
        self._embedder = await self.context.embedder(self.options.embedder)

    async def adopt(self, embedded: Embedded) -> int:
        kept = {document.text: vector.tolist() for document, vector in embedded if len(document.text) <= 10}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(kept), encoding="utf-8")
        return len(kept)

    async def build(self, documents: Iterable[Document]) -> Artifact:
        kept = json.loads(self._file.read_text("utf-8")) if self._file.exists() else {}
        texts = [document.text for document in documents]
        new = [text for text in texts if text not in kept]
        await self._embedder.embed_passages(new)
        return Artifact(kind="index", facts={"passages": len(texts), "encoded": len(new)})

    async def load(self) -> None: ...

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        return []

    @property
    def _file(self) -> Path:
        return Path(self.context.folder) / "shelf.json"


class Both(Shelf):
    """Holds two retrievers, whose embedders may differ."""

    class Options(Options):
        retrievers: tuple[RetrieverRef, ...] = Field(description="Two.")

    async def open(self) -> None:
        raise AssertionError("a step with two embedders is not opened")


@hookimpl
def register_embedders(register: Register) -> None:
    register("lengths", f"{__name__}:Lengths", summary="By length.")


@hookimpl
def register_loaders(register: Register) -> None:
    register("crates", f"{__name__}:Crates", summary="Texts of a crate.")


@hookimpl
def register_retrievers(register: Register) -> None:
    register("crate", f"{__name__}:Crate", summary="Made elsewhere.")
    register("shelf", f"{__name__}:Shelf", summary="Keeps vectors.")
    register("both", f"{__name__}:Both", summary="Two in one.")
