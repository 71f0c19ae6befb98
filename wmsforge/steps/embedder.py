"""Embedder: texts in, unit vectors out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wmsforge.steps.base import Component

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Embedder(Component):
    """Turns texts into vectors whose dot product is their similarity."""

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
