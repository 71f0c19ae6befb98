"""The embedder `hashing`."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from pydantic import Field

from wmsforge.options import Options as BaseOptions
from wmsforge.steps.embedder import Embedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class HashingEmbedder(Embedder):
    """Counts character trigrams into hashed places: texts that share many are close."""

    class Options(BaseOptions):
        dimension: int = Field(default=256, ge=8, description="Length of the vectors.")

    options: Options

    @property
    def dimension(self) -> int:
        return self.options.dimension

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        import numpy as np

        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in enumerate(texts):
            padded = f" {text} "
            for start in range(len(padded) - 2):
                place = int.from_bytes(blake2b(padded[start : start + 3].encode(), digest_size=8).digest(), "big")
                vectors[row, place % self.dimension] += 1
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: npt.NDArray[np.float32] = vectors / np.maximum(norms, 1e-9)
        return unit

    async def embed_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return await self.embed_passages(texts)
