"""What a reader gets and gives: a Source in, Parts out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from wmsforge_files.clean import clean
from wmsforge_files.decode import decode

_TITLE_FIELDS = {"title", "제목", "문서제목"}


@dataclass(frozen=True)
class Part:
    """One Document to be: a whole file, a page, a row or a record."""

    text: str
    title: str = ""
    page: int | None = None
    row: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A file's bytes and what is needed to read them."""

    data: bytes
    warn: Callable[[str], None]
    """Takes a sentence about this file that the user should know."""
    encoding: str = "auto"
    pdf_password: SecretStr | None = None

    def text(self, declared: str = "") -> str:
        """Return the text, decoded and cleaned; raises and takes what `decoded` does."""
        return clean(self.decoded(declared))

    def decoded(self, declared: str = "") -> str:
        """Return the text as it stands, for formats whose own syntax must be read before cleaning.

        Args:
            declared: The encoding that the file names itself, if it does.

        Raises:
            RecordError: If the encoding cannot be told or does not fit.
        """
        decoded = decode(self.data, self.encoding, declared)
        if decoded.warning:
            self.warn(decoded.warning)
        return decoded.text


Reader = Callable[[Source], Iterator[Part]]


def title_of(fields: dict[str, Any]) -> str:
    """Return the value of the field that names the record, or an empty string."""
    values = (value for name, value in fields.items() if name.replace(" ", "").lower() in _TITLE_FIELDS)
    return next((value for value in values if isinstance(value, str)), "")


def unique_names(names: list[str]) -> list[str]:
    """Return the names with repeated ones numbered: `값`, `값 (2)`."""
    unique: dict[str, int] = {}
    for name in names:
        candidate = name
        while candidate in unique:
            unique[name] += 1
            candidate = f"{name} ({unique[name]})"
        unique[candidate] = 1
    return list(unique)
