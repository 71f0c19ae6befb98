"""Where weights are, and what tells them from others: a hub repository, a folder, or a GGUF file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmsforge.errors import StepError

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

    @property
    def gguf(self) -> str:
        return self.inner if self.inner.endswith(".gguf") else ""

    def identity(self, revision: str | None) -> Any:
        """Return what tells these weights from others: the hub's name for them, or a digest of the files."""
        if not self.local:
            return {"hub": f"{self.root}/{self.inner}".rstrip("/"), "revision": revision or ""}
        return _digest(Path(self.root, self.inner))


def locate(name: str, option: str, id: str) -> Place:
    """Return where `name` is; nothing is fetched.

    `owner/name/checkpoint-1000` and `owner/name/model.gguf` are places inside a hub repository.

    Raises:
        StepError: If it is a local path that does not exist, or a file that is no GGUF.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return Place(str(path), local=True)
    if path.is_file() and path.suffix == ".gguf":
        return Place(str(path.parent), path.name, local=True)
    if path.exists() or name.startswith((".", "~", "/")) or "\\" in name:
        found = "is no GGUF file" if path.exists() else "does not exist"
        raise StepError(
            f"Model {id!r}: option {option!r} names {str(path.absolute())!r}, which {found}.\n"
            f"Give a hub id such as upstage/SOLAR-10.7B-Instruct-v1.0, a folder, or a GGUF file."
        )
    owner, _, rest = name.partition("/")
    repository, _, inner = rest.partition("/")
    return Place(f"{owner}/{repository}" if repository else owner, inner)


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
