"""Vectors that move from one retriever to another, so that nothing is embedded twice: `wmsforge import-index`.

A retriever that can give its vectors is also a `VectorSource`, one that keeps vectors by text a `VectorTarget`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wmsforge.records import Document

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Embedded:
    """Documents that are whole passages, and what an embedder made of their texts.

    `vectors` is float32 of shape (len(documents), dimension), rows of length 1.
    """

    documents: Sequence[Document]
    vectors: npt.NDArray[np.float32]
    loader: Mapping[str, Any]
    """What a recipe writes to load just these documents: {"use": "langchain-documents", "path": ...}."""

    def __iter__(self) -> Iterator[tuple[Document, npt.NDArray[np.float32]]]:
        return zip(self.documents, self.vectors, strict=True)


class VectorSource(ABC):
    """A retriever over an index made elsewhere. Its options are `path`, `embedder` and what it needs beside them."""

    @abstractmethod
    async def embedded(self) -> Embedded:
        """Return what the index holds, once it is sure that the embedder of the options made it. Called after `open`.

        Raises:
            StepError: If the index cannot be read, or another embedder made it.
        """


class VectorTarget(ABC):
    """A retriever that keeps the vectors of texts between builds."""

    @abstractmethod
    async def adopt(self, embedded: Embedded) -> int:
        """Keep vectors for the next `build`, durably; return how many of the documents it will find embedded.

        The retriever's own embedder made them. Called after `open`, never while the retriever is in use.
        """
