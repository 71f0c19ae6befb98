"""Reading the small files that people write for a recipe: personas, question banks."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from wmsforge.errors import RecordError, StepError


def must_exist(*paths: Path) -> tuple[Path, ...]:
    """Return the paths.

    Raises:
        RecordError: `missing_file` if one is not a file.
    """
    for path in paths:
        if not path.is_file():
            raise RecordError("missing_file", f"there is no file {str(path)!r} (seen from {Path.cwd()}).")
    return paths


def read_text(path: Path) -> str:
    """Return the NFC text of a UTF-8 file, with or without a byte order mark, or of a CP949 file from Korean Excel.

    Raises:
        StepError: If it is neither.
    """
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return unicodedata.normalize("NFC", data.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise StepError(f"{path} is neither UTF-8 nor CP949 text.\nSave it as UTF-8.")
