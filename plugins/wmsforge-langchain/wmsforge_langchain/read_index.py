"""The program that reads `index.faiss`, in a process of its own.

FAISS is written for files that one trusts: a damaged one may take all memory or crash the process that reads
it. So another process does it, with limits, and hands back bare numbers:
`python -m wmsforge_langchain.read_index INDEX VECTORS MAX_BYTES` writes float32 rows to VECTORS. To stdout it writes
a line of JSON about the index, then one when it is done; without the second line it died in between.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 64 << 20
_OWN_BYTES = 4 << 30
"""Address space that Python, numpy and FAISS take before any vector."""
_RAISED_AT = re.compile(r"^Error in .*?: (Error: )?(?='|\w)", re.DOTALL)


def main(source: str, target: str, max_bytes: int) -> None:
    """Write the vectors; print the index's kind, metric, count and dimension, then `done` or an `error`."""
    file_bytes = Path(source).stat().st_size
    _limit(_OWN_BYTES + 4 * file_bytes)
    import faiss

    if hasattr(faiss, "set_deserialization_vector_byte_limit"):
        # No list in a file is longer than the file: one that says so would take all memory before it is found out.
        faiss.set_deserialization_vector_byte_limit(file_bytes + 1)
    try:
        index = faiss.read_index(source)
        count, dimension = int(index.ntotal), int(index.d)
        metrics = {faiss.METRIC_L2: "l2", faiss.METRIC_INNER_PRODUCT: "inner_product"}
        metric = metrics.get(index.metric_type, f"number {index.metric_type}")
        _say(kind=type(index).__name__, metric=metric, count=count, dimension=dimension)
        if count * dimension * 4 > max_bytes:
            raise MemoryError(f"{count:,} vectors of {dimension:,} numbers are more than {max_bytes / 1e6:,.0f} MB")
        with Path(target).open("wb") as file:
            block = max(1, _BLOCK_BYTES // max(1, 4 * dimension))
            for start in range(0, count, block):
                file.write(index.reconstruct_n(start, min(block, count - start)).astype("<f4").tobytes())
    except (RuntimeError, MemoryError, AssertionError, ValueError) as error:
        _say(error=_RAISED_AT.sub("", str(error)).strip() or type(error).__name__)
    else:
        _say(done=True)


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def _limit(address_space: int) -> None:
    with suppress(ImportError, ValueError):  # Windows has no such limits; or a lower one is set already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (address_space, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
