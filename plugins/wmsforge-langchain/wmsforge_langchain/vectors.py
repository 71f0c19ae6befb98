"""The vectors of `index.faiss`, taken out by another process, as unit vectors with what was changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TIMEOUT_S = 600
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
"""What the reading process may know: no key of anyone's."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Reading needs no more, and each thread takes address space, which is limited."""
_EXACT = ("IndexFlat", "IndexFlatL2", "IndexFlatIP", "IndexIVFFlat", "IndexHNSWFlat", "IndexRefineFlat")
_UNIT = 1e-3


class UnreadableError(ValueError):
    """The index cannot be read. The message completes 'the file ...'."""


@dataclass(frozen=True)
class Vectors:
    """The vectors in the order of the index.

    `unit` is float32 of shape (count, dimension), rows of length 1; a row of zeros stays one.
    """

    unit: npt.NDArray[np.float32]
    kind: str
    """The class of the index, such as IndexFlatL2."""
    metric: str
    """What LangChain ranked by: 'l2', 'inner_product', or 'number N' as FAISS counts its others."""
    lengths: tuple[float, float]
    """The least and the greatest length of the stored vectors."""

    @property
    def were_unit(self) -> bool:
        """Whether they were unit vectors as stored: then L2, inner product and cosine rank alike."""
        return all(abs(length - 1) <= _UNIT for length in self.lengths)

    @property
    def are_exact(self) -> bool:
        """Whether the index keeps vectors as they were made, and no shorter codes of them."""
        return self.kind in _EXACT


def read_vectors(path: Path, max_bytes: int, folder: Path) -> Vectors:
    """Return the vectors of a FAISS index.

    Args:
        max_bytes: What they may take.
        folder: Where the other process may put them for a moment.

    Raises:
        UnreadableError: If the file is damaged, too large, no FAISS index, or of a kind that cannot give its vectors.
    """
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        target = Path(place) / "vectors"
        facts = _taken_out(path, target, max_bytes)
        stored = np.fromfile(target, "<f4").reshape(facts["count"], facts["dimension"]).astype(np.float32, copy=False)
    if not np.isfinite(stored).all():
        raise UnreadableError("holds vectors with values that are no numbers")
    lengths = np.sqrt(np.einsum("ij,ij->i", stored, stored, dtype=np.float64))[:, None]
    unit = np.divide(stored, np.where(lengths > 0, lengths, 1), dtype=np.float32, casting="same_kind")
    shortest, longest = (float(lengths.min()), float(lengths.max())) if len(lengths) else (1.0, 1.0)
    return Vectors(unit, facts["kind"], facts["metric"], (shortest, longest))


def _taken_out(path: Path, target: Path, max_bytes: int) -> dict[str, Any]:
    # -P: what lies in the current folder is not imported.
    command = [sys.executable, "-P", "-m", "wmsforge_langchain.read_index", str(path), str(target), str(max_bytes)]
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _ONE_THREAD
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise UnreadableError(f"takes FAISS more than {_TIMEOUT_S} s to read") from error
    facts: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):  # a library may have its own say there
            facts |= json.loads(line)
    kind = f"is an {facts['kind']} that" if "kind" in facts else "is one that"
    if "error" in facts:
        raise UnreadableError(f"{kind} FAISS cannot read: {facts['error']}")
    if "done" not in facts:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1][:300]
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise UnreadableError(f"{kind} ended the process that read it ({how}): {last}")
    return facts
