"""The host's own code for an environment: it holds third parties' packages only, so both sides always match."""

from __future__ import annotations

import contextlib
from pathlib import Path

from wmsforge.env.locks import package_folder


def code_folder(parent: Path, packages: tuple[str, ...]) -> Path:
    """Return a folder to import these packages from, of links to where the host has them."""
    folder = parent / "code"
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        link, source = folder / package, package_folder(package)
        if link.is_symlink() and link.readlink() == source:
            continue
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(source)
    return folder
