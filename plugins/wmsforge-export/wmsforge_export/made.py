"""Folders that are made whole or not at all, and only when what they are made of changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from wmsforge.files import sync_folder, write_atomically

MARKER = "wmsforge_export.json"
_SAMPLES = 64
_SAMPLE_BYTES = 65_536
_DECIDES = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt", ".gguf")
_OF_TRAINING = ("optimizer", "scheduler", "trainer_state", "training_args", "rng_state", "wmsforge")


async def made(folder: Path, key: dict[str, Any], make: Callable[[Path], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Return what `make` said of the folder, calling it only if the folder was not made from the same `key`.

    `make` fills a folder beside it, which takes the place of `folder` when it is whole; what a killed run left there
    is deleted first.
    """
    wanted = json.loads(json.dumps(key))
    marker = folder / MARKER
    if marker.exists():
        kept = json.loads(marker.read_text(encoding="utf-8"))
        if kept["key"] == wanted:
            facts: dict[str, Any] = kept["facts"]
            return facts
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    facts = await make(new)
    write_atomically(new / MARKER, json.dumps({"key": wanted, "facts": facts}, ensure_ascii=False, indent=1).encode())
    _replace(folder, new)
    return facts


def _replace(folder: Path, new: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    new.rename(folder)
    sync_folder(folder.parent)


def digest(path: Path) -> str:
    """Return a digest of a model's file or folder, by the files that decide what it says.

    Of large files it hashes the size and 64 blocks of 64 KiB spread evenly, the first and the last among them.
    """
    found = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(_deciding(path)):
        size = file.stat().st_size
        found.update(f"{file.name if path.is_dir() else ''}\0{size}\0".encode())
        with file.open("rb") as content:
            if size <= _SAMPLES * _SAMPLE_BYTES:
                found.update(content.read())
                continue
            for number in range(_SAMPLES):
                content.seek((size - _SAMPLE_BYTES) * number // (_SAMPLES - 1))
                found.update(content.read(_SAMPLE_BYTES))
    return found.hexdigest()


def _deciding(folder: Path) -> Iterator[Path]:
    for file in folder.iterdir():
        if file.is_file() and file.suffix in _DECIDES and not file.name.startswith((".", *_OF_TRAINING)):
            yield file
