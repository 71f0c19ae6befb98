"""CSV and TSV: one Document a row, told with the names of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from wmsforge.errors import RecordError
from wmsforge_files.clean import clean
from wmsforge_files.source import Part, Source, title_of, unique_names

_DELIMITERS = ",;\t|"
_NO_DELIMITER = "\0"
"""Splits nothing: `clean` leaves no NUL in a text."""
_SNIFFED_ROWS = 50
_BREAK_IN_CELL = re.compile("[\x0b\x0c\x85\u2028\u2029]")
"""Characters that `clean` makes newlines of, and that end no row of a table."""
_NAMED_ROWS = 10
"""How many row numbers a warning lists."""


@dataclass(frozen=True)
class _Row:
    cells: list[str]
    unclosed: bool
    """Whether a quote was opened and never closed; its cells were then read as they stand."""


def read_table(source: Source) -> Iterator[Part]:
    """Yield the rows under the header; `row` counts from 1 there, empty rows included.

    Every cell is kept: those beyond the header stand without a name in the text and as `column 5`
    in the fields.

    Raises:
        RecordError: If there is a header and nothing under it.
    """
    text = clean(_BREAK_IN_CELL.sub(" ", source.decoded()))
    rows = _rows(text, _delimiter(text))
    header = next((row.cells for row in rows if any(row.cells)), [])
    names = unique_names([name or f"column {number}" for number, name in enumerate(header, 1)])
    ragged, unclosed, empty = [], [], True
    for number, row in enumerate(rows, 1):
        if not any(row.cells):
            continue
        if len(row.cells) != len(header):
            ragged.append(number)
        if row.unclosed:
            unclosed.append(number)
        empty = False
        yield _part(number, header, names, row.cells)
    if header and empty:
        raise RecordError("no_rows", f"The table has {len(header)} column names and no rows under them.")
    if ragged:
        source.warn(f"{_listed(ragged)}: not {len(header)} cells like the header. All their cells were read.")
    if unclosed:
        source.warn(f"{_listed(unclosed)}: a quote is never closed. The cells were read as they stand.")


def _part(number: int, header: list[str], names: list[str], cells: list[str]) -> Part:
    extra = [f"column {n}" for n in range(len(names) + 1, len(cells) + 1)]
    all_names = unique_names([*names, *extra]) if extra else names
    fields = dict(zip(all_names, cells + [""] * (len(names) - len(cells)), strict=True))
    labels = header + [""] * (len(cells) - len(header))
    lines = [f"{label}: {cell}" if label else cell for label, cell in zip(labels, cells, strict=False) if cell]
    return Part("\n".join(lines), title=title_of(fields), row=number, fields=fields)


def _rows(text: str, delimiter: str) -> Iterator[_Row]:
    """Split into rows of stripped cells; a quoted cell must end where a cell may end, else it is plain text."""
    stop = re.escape(delimiter)
    cell = re.compile(rf'[ ]*"(?P<quoted>[^"]*+(?:""[^"]*+)*+)"[ ]*(?={stop}|\n|\Z)|(?P<plain>[^\n{stop}]*)')
    cells: list[str] = []
    position, unclosed = 0, False
    while position <= len(text):
        match = cell.match(text, position)
        assert match  # `plain` matches anywhere
        quoted, plain = match["quoted"], match["plain"]
        cells.append((plain if quoted is None else quoted.replace('""', '"')).strip())
        unclosed = unclosed or (quoted is None and cells[-1].startswith('"'))
        if text[match.end() : match.end() + 1] != delimiter:
            yield _Row(cells, unclosed)
            cells, unclosed = [], False
        position = match.end() + 1


def _delimiter(text: str) -> str:
    """Return the delimiter under which most rows have as many cells as the header, and that more than one."""

    def fit(delimiter: str) -> tuple[float, int]:
        rows = [row.cells for row in islice(_rows(text, delimiter), _SNIFFED_ROWS) if any(row.cells)]
        width = len(rows[0]) if rows else 0
        return (sum(len(row) == width for row in rows) / len(rows), width) if width > 1 else (0, 0)

    best = max(_DELIMITERS, key=fit)
    return best if fit(best)[1] > 1 else _NO_DELIMITER


def _listed(rows: Sequence[int]) -> str:
    more = f" and {len(rows) - _NAMED_ROWS} more" if len(rows) > _NAMED_ROWS else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {', '.join(map(str, rows[:_NAMED_ROWS]))}{more}"
