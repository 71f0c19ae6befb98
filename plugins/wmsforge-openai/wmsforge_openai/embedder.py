"""The embedder `openai-compatible`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from wmsforge.errors import RecordError, RetryableError, StepError
from wmsforge.options import NotIdentity
from wmsforge.reasons import TIMEOUT
from wmsforge.steps.base import Context
from wmsforge.steps.embedder import Embedder
from wmsforge_openai.failures import failure
from wmsforge_openai.server import ServerOptions
from wmsforge_openai.vectors import read_vectors

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from wmsforge_openai.transport import Transport

    Vectors = npt.NDArray[np.float32]

PROBE = "dimension"
_OURS = {"model", "input", "dimensions"}


class OpenAICompatibleEmbedder(Embedder):
    """Asks `POST {base_url}/embeddings`, one call for all texts it is given."""

    class Options(ServerOptions):
        query_model: str = Field(
            default="", description="Name of the model for queries, where the server has another one for them."
        )
        query_prefix: str = Field(default="", description="Put before each query, e.g. 'query: ' for E5 models.")
        passage_prefix: str = Field(default="", description="Put before each passage, e.g. 'passage: ' for E5 models.")
        dimensions: int | None = Field(
            default=None,
            ge=1,
            description="Numbers a vector, for models that can shorten theirs; the model's own number if unset.",
        )
        batch_texts: Annotated[int, NotIdentity()] = Field(
            default=64, ge=1, description="Texts sent in one request at most."
        )
        extra_body: dict[str, Any] = Field(default_factory=dict, description="More fields of the request's body.")

        @field_validator("extra_body")
        @classmethod
        def _leaves_ours_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
            taken = sorted(_OURS & value.keys())
            if taken:
                raise ValueError(f"must not hold {', '.join(taken)}: wmsforge sets it")
            return value

    options: Options

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.batch_texts = options.batch_texts
        self._endpoint = options.endpoint(context.step, "embeddings")
        self._dimension: int | None = options.dimensions
        self._transport: Transport

    @property
    def dimension(self) -> int:
        assert self._dimension is not None  # known after open
        return self._dimension

    def quota(self) -> str:
        """See `ServerOptions.quota`: chat models of the same key count with this embedder."""
        return self.options.quota()

    async def open(self) -> None:
        """Prepare the session; one word is embedded to learn the dimension unless `dimensions` says it.

        Raises:
            StepError: If the key cannot be sent, or the server does not embed that word.
            ParkedError: If a quota is used up.
        """
        from wmsforge_openai.transport import Transport

        self.options.check_key(self._endpoint)
        self._transport = Transport(self._endpoint, self.options.concurrency)
        if self._dimension is None:
            try:
                self._dimension = (await self._probe()).shape[1]
            except BaseException:
                await self.close()  # the engine closes only what has opened
                raise

    async def close(self) -> None:
        await self._transport.close()

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed_passages`; raises what `ChatModel.complete` raises."""
        return await self._embed(self.options.model, [self.options.passage_prefix + text for text in texts])

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed_queries`; raises what `ChatModel.complete` raises."""
        model = self.options.query_model or self.options.model
        return await self._embed(model, [self.options.query_prefix + text for text in texts])

    async def _embed(self, model: str, texts: list[str]) -> Vectors:
        import numpy as np

        if not texts:
            return np.empty((0, self.dimension), np.float32)
        vectors, tokens = await self._ask(model, texts)
        self.count_tokens(tokens)
        if vectors.shape[1] != self.dimension:
            raise StepError(
                f"{self._endpoint}: {model} gave vectors of {vectors.shape[1]} numbers, not of {self.dimension}.\n"
                f"Correct dimensions, or leave it out for a model that cannot shorten its vectors."
            )
        return vectors

    async def _ask(self, model: str, texts: list[str]) -> tuple[Vectors, int]:
        body = {"model": model, "input": texts, "encoding_format": "float", **self.options.extra_body}
        if self.options.dimensions is not None:
            body["dimensions"] = self.options.dimensions
        status, headers, content = await self._transport.post(json.dumps(body, ensure_ascii=False).encode())
        if status != 200:
            raise failure(self._endpoint, status, headers, content)
        return read_vectors(self._endpoint, content, len(texts))

    async def _probe(self) -> Vectors:
        """Embed one word. The engine's limits and retries begin after `open`, so this has its own."""
        for attempt in range(1, self.options.max_attempts + 1):
            try:
                async with asyncio.timeout(self.options.timeout_s):
                    vectors, _ = await self._ask(self.options.model, [PROBE])
                    return vectors
            except TimeoutError:
                failed: RetryableError | RecordError
                failed = RetryableError(TIMEOUT, f"{self._endpoint}: no answer within {self.options.timeout_s:g} s")
            except RetryableError as error:
                failed = error
            except RecordError as error:
                failed = error
                break
            pause_s = failed.after_s or float(2 ** (attempt - 1))
            if attempt == self.options.max_attempts or pause_s > self.options.max_retry_s:
                break
            await asyncio.sleep(pause_s)
        raise StepError(
            f"No word could be embedded to learn the vectors' dimension: {failed}\n"
            f"See to the server, or say the dimension: dimensions: 1024 (where the server takes that option)."
        )
