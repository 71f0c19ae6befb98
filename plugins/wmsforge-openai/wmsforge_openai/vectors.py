"""Reading the reply of an embeddings request."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from wmsforge.errors import RetryableError
from wmsforge.reasons import MALFORMED_RESPONSE
from wmsforge_openai.endpoint import Endpoint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def read_vectors(endpoint: Endpoint, content: bytes, texts: int) -> tuple[npt.NDArray[np.float32], int]:
    """Return the unit vectors of a reply in the order of the texts, shape (texts, dimension), and its tokens.

    Raises:
        RetryableError: If it does not hold one finite vector for each text, all of one length.
    """
    import numpy as np

    tokens = None
    try:
        reply = json.loads(content)
        tokens = (reply.get("usage") or {}).get("prompt_tokens")
        rows = {item["index"]: _numbers(item["embedding"]) for item in reply["data"]}
        if len(rows) != texts:
            raise ValueError(f"{len(rows)} for {texts} texts")
        vectors = np.array([rows[index] for index in range(texts)], np.float32)
        if vectors.ndim != 2:
            raise ValueError("one for each token")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise ValueError("one has no direction")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise RetryableError(
            MALFORMED_RESPONSE,
            f"{endpoint} sent no usable vectors ({error}): {endpoint.quote(content)}",
            raw=endpoint.raw(content),
            usage={"prompt_tokens": tokens} if isinstance(tokens, int) and tokens > 0 else None,
        ) from error
    return vectors / lengths, tokens if isinstance(tokens, int) else 0


def _numbers(written: Any) -> npt.NDArray[np.float32]:
    """Return a vector that is written as a list, or as the base64 of little-endian floats."""
    import numpy as np

    if isinstance(written, str):
        return np.frombuffer(base64.b64decode(written, validate=True), "<f4")
    return np.array(written, np.float32)
