"""The retriever `langchain-faiss`: searches an index that LangChain saved, where it is and as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from wmsforge.errors import StepError
from wmsforge.files import file_digest, write_atomically
from wmsforge.options import EmbedderRef
from wmsforge.records import Artifact, Document, Passage, Retrieved, content_id
from wmsforge.steps.retriever import Retriever
from wmsforge.steps.vectors import Embedded, VectorSource
from wmsforge_langchain.docstore import Chunk
from wmsforge_langchain.likeness import check_dimension, check_likeness, likeness
from wmsforge_langchain.passages import document, passage
from wmsforge_langchain.saved import Saved, SavedOptions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wmsforge.steps.embedder import Embedder
    from wmsforge_langchain.vectors import Vectors


class LangChainFaissRetriever(Retriever, VectorSource):
    """Ranks the saved chunks by cosine, exactly. The folder is read and never changed.

    LangChain ranks by L2 distance or inner product of the vectors as they were made. For unit vectors that is
    the order of the cosine; others are scaled to length 1, and the user is told.
    """

    class Options(SavedOptions):
        embedder: EmbedderRef = Field(
            description="The embedder that made the index; queries are embedded by it. A few texts are embedded "
            "again to see that it is the one."
        )

    options: Options
    reads_documents = False
    _embedder: Embedder
    _passages: Sequence[Passage]
    _kept: npt.NDArray[np.float32]
    """Their unit vectors, shape (len(_passages), dimension)."""

    def inputs(self) -> Sequence[Path]:
        saved = self._saved()
        return saved.files(saved.index, saved.documents)

    async def open(self) -> None:
        self._embedder = await self.context.embedder(self.options.embedder)

    async def build(self, documents: Iterable[Document]) -> Artifact:
        """Read the folder and check that the embedder fits; `documents` are not looked at.

        Raises:
            StepError: If the folder cannot be read, or another embedder made the index.
        """
        chunks, vectors = await self._read()
        cosine = await self._check_embedder(chunks, vectors)
        self._say_how_it_ranks(vectors)
        self._keep(chunks, vectors)
        write_atomically(self._note, json.dumps({"digest": await asyncio.to_thread(self._digest)}).encode())
        facts = {
            "passages": len(self._passages),
            "encoded": 0,
            "index": vectors.kind,
            "metric": vectors.metric,
            "cosine_of_sample": round(cosine, 4),
            "digest": content_id(*(kept.id for kept in self._passages)),
        }
        return Artifact(kind="index", path=str(self.context.folder), facts=facts)

    async def load(self) -> None:
        """Read the folder again. Its embedder was checked by `build`, for the same files.

        Raises:
            StepError: If `build` never saw these files, or they cannot be read.
        """
        digest = await asyncio.to_thread(self._digest)
        if not self._note.is_file() or json.loads(self._note.read_bytes()).get("digest") != digest:
            raise StepError(
                f"{self._where}: the index in {self.options.path} is not the one that was checked.\n"
                f"Check it again: wmsforge run RECIPE --from {self.context.step}"
            )
        self._keep(*await self._read())

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        """Return at most `top_k` passages, best first, by cosine; equal ones in the order of their ids."""
        import numpy as np

        if not query.strip():
            return []
        (vector,) = await self._embedder.embed_queries([query])
        scores = await asyncio.to_thread(np.matmul, self._kept, vector)
        best = np.argsort(-scores, kind="stable")[:top_k]
        found = [Retrieved(passage=self._passages[place], score=float(scores[place])) for place in best]
        return sorted(found, key=lambda hit: (-hit.score, hit.passage.id))

    async def embedded(self) -> Embedded:
        """See `VectorSource`; the documents are those of the loader `langchain-documents`."""
        chunks, vectors = await self._read()
        await self._check_embedder(chunks, vectors)
        saved = self._saved()
        name, sha256 = saved.documents.as_posix(), file_digest(saved.documents)
        with_text = [position for position, chunk in enumerate(chunks) if chunk.text.strip()]
        loader: dict[str, Any] = {"use": "langchain-documents", "path": self.options.path}
        if self.options.index_name != "index":
            loader["index_name"] = self.options.index_name
        documents = [document(chunks[position], position, name, sha256) for position in with_text]
        return Embedded(documents, vectors.unit[with_text], loader)

    async def _read(self) -> tuple[list[Chunk], Vectors]:
        """Return chunks and vectors that belong together.

        Raises:
            StepError: If they cannot be read or do not.
        """
        saved = self._saved()
        chunks = await asyncio.to_thread(saved.read_documents)
        vectors = await asyncio.to_thread(saved.read_vectors, self.context.folder)
        if len(chunks) != len(vectors.unit):
            raise StepError(
                f"{self._where}: {saved.index} holds {len(vectors.unit):,} vectors and {saved.documents} "
                f"{len(chunks):,} documents; they were not saved together.\n"
                "Copy both files again from where LangChain wrote them."
            )
        if not any(chunk.text.strip() and vector.any() for chunk, vector in zip(chunks, vectors.unit, strict=True)):
            raise StepError(
                f"{self._where}: the index in {self.options.path} holds no text with a vector "
                f"({len(chunks):,} chunks).\n"
                "Add documents to it with LangChain and save it again."
            )
        return chunks, vectors

    async def _check_embedder(self, chunks: Sequence[Chunk], vectors: Vectors) -> float:
        ref, model = self.options.embedder, getattr(self._embedder.options, "model", "")
        called = f"{ref.name or ref.use!r}{f' ({model})' if model else ''}"
        check_dimension(self._embedder, called, vectors.unit, self.options.path, self._where)
        found = await likeness(self._embedder, [chunk.text for chunk in chunks], vectors.unit)
        if warning := check_likeness(found, called, self.options.path, self._where):
            self.context.warn(warning)
        return found

    def _keep(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        """Make the passages searchable. One that LangChain was given twice is kept once, one without text never."""
        name = self._saved().documents.as_posix()
        places: dict[tuple[str, str, int | None], int] = {}
        passages = [passage(chunk, position, name) for position, chunk in enumerate(chunks)]
        for position, kept in enumerate(passages):
            if kept.text.strip():
                places.setdefault((kept.text, kept.path, kept.page), position)
        positions = list(places.values())
        self._passages = [passages[position] for position in positions]
        self._kept = vectors.unit[positions]

    def _say_how_it_ranks(self, vectors: Vectors) -> None:
        metrics = {"l2": "L2 distance", "inner_product": "inner product"}
        if not vectors.were_unit or vectors.metric not in metrics:
            shortest, longest = vectors.lengths
            self.context.warn(
                f"The vectors in {self.options.path} have lengths from {shortest:.3g} to {longest:.3g}, and LangChain "
                f"ranked them by {metrics.get(vectors.metric, f'metric {vectors.metric} of FAISS')}. Here they are "
                "ranked by cosine, as everywhere in wmsforge, so what is found may stand in another order."
            )
        if not vectors.are_exact:
            self.context.warn(
                f"The index in {self.options.path} is an {vectors.kind}, which may keep shortened vectors, and what "
                "was lost cannot be had back. To search exactly, embed anew: use langchain-documents and faiss."
            )

    def _saved(self) -> Saved:
        return Saved(self.options, self._where)

    def _digest(self) -> str:
        return content_id(*(file_digest(path) for path in self.inputs()))

    @property
    def _where(self) -> str:
        return f"Step {self.context.step!r}"

    @property
    def _note(self) -> Path:
        return self.context.folder / "langchain-faiss.json"
