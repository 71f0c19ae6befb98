"""The `files` loader: files of a folder in, Documents out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from wmsforge.errors import RecordError
from wmsforge.options import Options
from wmsforge.records import Document, content_id
from wmsforge.steps.loader import Loader
from wmsforge_files.find import find_files, nfc_path
from wmsforge_files.html import read_html
from wmsforge_files.json_records import read_json, read_json_lines
from wmsforge_files.markdown import read_markdown
from wmsforge_files.pdf import read_pdf
from wmsforge_files.source import Part, Reader, Source
from wmsforge_files.table import read_table
from wmsforge_files.text import read_text

READERS: dict[str, Reader] = {
    ".txt": read_text,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".csv": read_table,
    ".tsv": read_table,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
}
_NAMED_FILES = 5
"""How many files a warning lists by name."""


class FilesOptions(Options):
    """Options of the `files` loader."""

    path: str = Field(
        min_length=1, description="File or folder to read; relative to the current folder. Folders are read whole."
    )
    patterns: tuple[str, ...] = Field(
        default=("**/*",),
        min_length=1,
        description="Which files of the folder, e.g. '**/*.md'; '**/' is any depth of folders. Case does not matter.",
    )
    exclude: tuple[str, ...] = Field(default=(), description="Which of these files to leave out, as patterns.")
    encoding: str = Field(
        default="auto",
        description="Encoding of all text files, e.g. 'cp949'; 'auto' finds UTF-8, UTF-16, CP949/EUC-KR and Johab.",
    )
    max_file_mb: float = Field(default=100, gt=0, description="Size in MB beyond which a file is rejected unread.")
    pdf_password: SecretStr | None = Field(default=None, description="Password of PDF files that need one.")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        if value != "auto":
            try:
                "".encode(value)
            except LookupError as error:
                raise ValueError(f"{value!r} is no encoding of text; try 'auto', 'utf-8' or 'cp949'") from error
        return value


class FilesLoader(Loader):
    """Reads text, Markdown, tables, JSON, HTML and PDF files; one Document a file, page, row or record."""

    Options: ClassVar[type[Options]] = FilesOptions
    options: FilesOptions

    def inputs(self) -> Sequence[Path]:
        # What cannot be opened has no bytes to be identified by; `load` says why it is left out.
        return [file for file in self._found()[0] if os.access(file, os.R_OK)]

    def sources(self) -> Iterable[Path | str]:
        found, unread = self._found()
        if unread:
            self.context.warn(_unread(unread))
        return found

    def load(self, source: Path | str) -> Iterable[Document]:
        path = Path(source)
        name = nfc_path(path)
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            raise RecordError("unsupported", _unread([path]))
        data = self._bytes(path)
        digest = hashlib.sha256(data).hexdigest()
        parts = reader(
            Source(
                data,
                warn=lambda message: self.context.warn(f"{name}: {message}"),
                encoding=self.options.encoding,
                pdf_password=self.options.pdf_password,
            )
        )
        documents = [_document(part, name, digest) for part in parts if part.text.strip()]
        if not documents:
            raise RecordError("empty", f"The file ({len(data):,} bytes) holds no text.")
        return documents

    def _found(self) -> tuple[list[Path], list[Path]]:
        """Return the files to read, at least one, and those that no reader is for."""
        options = self.options
        files = find_files(Path(options.path), options.patterns, options.exclude, self.context.warn)
        found = [file for file in files if file.suffix.lower() in READERS]
        unread = [file for file in files if file.suffix.lower() not in READERS]
        if not found:
            raise RecordError("no_files", _unread(unread))
        return found, unread

    def _bytes(self, path: Path) -> bytes:
        try:
            megabytes = path.stat().st_size / 1e6
            if megabytes > self.options.max_file_mb:
                raise RecordError(
                    "too_large",
                    f"The file has {megabytes:,.1f} MB, the limit is {self.options.max_file_mb:g}. "
                    "Split it, or raise the option 'max_file_mb'.",
                )
            return path.read_bytes()
        except OSError as error:
            raise RecordError("unreadable", f"The file cannot be read: {error.strerror}.") from error


def _document(part: Part, path: str, sha256: str) -> Document:
    return Document(
        id=content_id(path, part.page, part.row, part.text),
        text=part.text,
        path=path,
        sha256=sha256,
        title=part.title,
        page=part.page,
        row=part.row,
        fields=part.fields,
    )


def _unread(files: Sequence[Path]) -> str:
    suffixes = sorted({file.suffix.lower() or "no suffix" for file in files})
    names = ", ".join(file.name for file in files[:_NAMED_FILES])
    more = f" and {len(files) - _NAMED_FILES} more" if len(files) > _NAMED_FILES else ""
    return (
        f"{len(files)} {'file was' if len(files) == 1 else 'files were'} not read, for the files loader does not know "
        f"{', '.join(suffixes)}: {names}{more}. Save them as PDF or text, or name them in the option 'exclude'."
    )
