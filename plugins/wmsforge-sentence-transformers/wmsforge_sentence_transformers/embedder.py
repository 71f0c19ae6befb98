"""The embedder `sentence-transformers`: a model of that library, by hub id or local folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from wmsforge import options
from wmsforge.errors import MissingDependencyError, RecordError, StepError
from wmsforge.options import NotIdentity
from wmsforge.steps.embedder import Embedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer

_HUB_TIMEOUT_S = 10


class SentenceTransformersEmbedder(Embedder):
    """Embeds with a sentence-transformers model, in one worker thread."""

    class Options(options.Options):
        model: str = Field(
            default="jhgan/ko-sroberta-multitask",
            min_length=1,
            description="A model id of the hub, such as BM-K/KoSimCSE-roberta, or the folder of a model.",
        )
        revision: str | None = Field(default=None, description="Branch, tag or commit of a hub model.")
        pooling: Literal["cls", "mean"] | None = Field(
            default=None,
            description="How the vectors of a text's tokens become one, instead of what the model's files say; "
            "BM-K/KoSimCSE-roberta needs cls.",
        )
        query_prefix: str = Field(default="", description="Put before each query, e.g. 'query: ' for E5 models.")
        passage_prefix: str = Field(default="", description="Put before each passage, e.g. 'passage: ' for E5 models.")
        device: Annotated[str | None, NotIdentity()] = Field(
            default=None, description="Where it runs: cpu, cuda, cuda:1, mps; the best there is when not set."
        )
        batch_size: Annotated[int, NotIdentity()] = Field(default=32, ge=1, description="Texts embedded in one go.")

    @property
    def dimension(self) -> int:
        dimension: int | None = self._model.get_embedding_dimension()
        assert dimension is not None  # a text model always has one
        return dimension

    def inputs(self) -> Sequence[Path]:
        folder = Path(self.options.model).expanduser()
        if folder.is_dir():
            return sorted(file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file, folder))
        if _is_path(self.options.model):
            raise RecordError("missing_model", f"option 'model' names the folder {str(folder)!r}, which does not exist")
        return ()

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sentence-transformers")
        self._model = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    async def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def embed_passages(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return await self._embed(self.options.passage_prefix, texts)

    async def embed_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return await self._embed(self.options.query_prefix, texts)

    async def _embed(self, prefix: str, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        import numpy as np

        if not texts:
            return np.empty((0, self.dimension), np.float32)
        prefixed = [prefix + text for text in texts]
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._encode, prefixed)

    def _encode(self, texts: list[str]) -> npt.NDArray[np.float32]:
        vectors: npt.NDArray[np.float32] = self._model.encode(
            texts, batch_size=self.options.batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors.astype("float32", copy=False)

    def _load(self) -> SentenceTransformer:
        try:
            from sentence_transformers import SentenceTransformer
            from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
        except ImportError as error:
            raise MissingDependencyError(
                "embedder 'sentence-transformers'",
                error.name or "sentence-transformers",
                "pip install 'wmsforge-sentence-transformers[embed]'",
            ) from error
        name, only_local = self._locate()
        own: Any = self.options
        try:
            model = SentenceTransformer(
                name, device=own.device, revision=own.revision, local_files_only=only_local, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise self._unusable(str(error)) from error
        if own.pooling is None:
            return model
        transformer = next(module for module in model if isinstance(module, Transformer))
        pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode=own.pooling)
        return SentenceTransformer(modules=[transformer, pooling], device=own.device)

    def _locate(self) -> tuple[str, bool]:
        """Return what to load and whether the network is not to be asked.

        Raises:
            StepError: If the model is neither a folder, nor in the cache, nor to be had from the hub.
        """
        from huggingface_hub import HfApi, try_to_load_from_cache

        name, revision = self.options.model, self.options.revision
        folder = Path(name).expanduser()
        if folder.is_dir():
            return str(folder), True
        if _is_path(name):
            raise self._unusable("there is no such folder")
        if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
            return name, True
        try:
            # Asked once here: the library itself would try for a minute before it gives up.
            HfApi().model_info(name, revision=revision, timeout=_HUB_TIMEOUT_S)
        except Exception as error:  # the hub's errors have no base in common, and it changes its HTTP library
            why = f"it is not in the cache and the model hub gave {type(error).__name__}: {error}"
            raise self._unusable(why) from error
        return name, False

    def _unusable(self, why: str) -> StepError:
        first_line = why.strip().partition("\n")[0]
        return StepError(
            f"Step {self.context.step!r}: the embedding model {self.options.model!r} cannot be loaded: {first_line}\n"
            "Give the folder of a model instead: embedder: {use: sentence-transformers, model: /path/to/model}"
        )


def _is_path(name: str) -> bool:
    """Tell a folder from a hub id, which is 'name' or 'owner/name'."""
    return name.startswith((".", "~", "/")) or name.count("/") > 1 or "\\" in name


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
