"""Plain text: one Document a file."""

from __future__ import annotations

from collections.abc import Iterator

from wmsforge_files.source import Part, Source

_LONGEST_TITLE = 60


def read_text(source: Source) -> Iterator[Part]:
    """Yield the text, with its first line as the title where that stands out."""
    text = source.text().strip()
    yield Part(text, title=_title(text))


def _title(text: str) -> str:
    first, _, rest = text.partition("\n")
    second = rest.partition("\n")[0].strip()
    first = first.strip()
    # The next line is blank or far longer; lines of one paragraph that was wrapped are about as long.
    stands_out = bool(rest) and (not second or len(second) > 2 * len(first))
    return first if stands_out and len(first) <= _LONGEST_TITLE and first[-1:] not in tuple(".,:;!?") else ""
