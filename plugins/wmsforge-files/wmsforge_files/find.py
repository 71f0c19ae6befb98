"""Finds files under a path by patterns, in an order that no machine changes."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from wmsforge.errors import RecordError

_IGNORED = re.compile(r"\..*|~\$.*|thumbs\.db|desktop\.ini", re.I)
"""Names of hidden files, of the locks that Office leaves, and of what file managers leave."""


def find_files(root: Path, patterns: Sequence[str], exclude: Sequence[str], warn: Callable[[str], None]) -> list[Path]:
    """Return the files that match any of `patterns` and none of `exclude`, sorted by NFC path.

    Patterns are relative to `root`; `*` stands for part of a name and `**` for any folders. Case
    and Unicode form make no difference. A `root` that is a file is returned as it is. Links are
    followed, each folder is visited once. Broken links are among the files, so that they are told.

    Args:
        warn: Takes a sentence about each folder that cannot be listed.

    Raises:
        RecordError: If `root` does not exist, or nothing matches.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise RecordError(
            "missing_path",
            f"there is no file or folder {str(root.absolute())!r}. "
            "Correct the option 'path'; a relative path starts at the current folder, wildcards go in 'patterns'.",
        )
    wanted = [_compiled(pattern) for pattern in patterns]
    unwanted = [_compiled(pattern) for pattern in exclude]
    found = [
        file
        for file in _walk(root, warn)
        if _any_match(wanted, name := nfc_path(file.relative_to(root))) and not _any_match(unwanted, name)
    ]
    if not found:
        raise RecordError(
            "no_files",
            f"no file in {str(root.absolute())!r} matches the patterns {', '.join(map(repr, patterns))}. "
            "Correct the option 'path' or 'patterns'.",
        )
    return sorted(found, key=lambda file: (nfc_path(file), file.as_posix()))


def nfc_path(path: Path) -> str:
    """Return the path with `/` in NFC, however the file system spells it."""
    return unicodedata.normalize("NFC", path.as_posix())


def _walk(root: Path, warn: Callable[[str], None]) -> Iterator[Path]:
    def unlisted(error: OSError) -> None:
        warn(f"The folder {error.filename!r} was left out: {error.strerror}. Make it readable.")

    visited: set[str] = set()
    for folder, folders, files in os.walk(root, onerror=unlisted, followlinks=True):
        real = os.path.realpath(folder)
        if real in visited:  # a link led here before
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not _IGNORED.fullmatch(name))
        for name in files:
            path = Path(folder, name)
            if not _IGNORED.fullmatch(name) and not _is_device(path):
                yield path


def _is_device(path: Path) -> bool:
    """Tell pipes and devices, which one would wait for when reading, from files and broken links."""
    try:
        return path.exists() and not path.is_file()
    except OSError:  # whoever opens it says what is wrong with it
        return False


def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", unicodedata.normalize("NFC", pattern).removeprefix("./"))
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(piece) or re.escape(piece) for piece in pieces), re.I)


def _any_match(patterns: Iterable[re.Pattern[str]], name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in patterns)
