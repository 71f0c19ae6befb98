"""The loader `lines`."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import Field

from wmsforge.errors import RecordError
from wmsforge.options import Options as BaseOptions
from wmsforge.records import Document, content_id
from wmsforge.steps.loader import Loader


class LinesLoader(Loader):
    """Makes a Document of each line that is not blank."""

    class Options(BaseOptions):
        path: Path = Field(description="A UTF-8 text file, one document a line.")

    options: Options

    def inputs(self) -> Sequence[Path]:
        return [self.options.path]

    def sources(self) -> Iterable[Path]:
        return [self.options.path]

    def load(self, source: Path | str) -> Iterable[Document]:
        try:
            content = Path(source).read_bytes()
            text = unicodedata.normalize("NFC", content.decode())
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError("unreadable", f"{source}: {error}") from error
        path = unicodedata.normalize("NFC", str(source))
        sha256 = hashlib.sha256(content).hexdigest()
        for row, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield Document(id=content_id(path, row, line), text=line, path=path, sha256=sha256, row=row)
