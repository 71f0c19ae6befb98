"""PDF: one Document a page, in whole sentences."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from wmsforge.errors import RecordError
from wmsforge_files.clean import clean
from wmsforge_files.lines import HYPHEN, Line, join_wrapped
from wmsforge_files.running import without_page_numbers
from wmsforge_files.source import Part, Source

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

_PDFIUM = threading.Lock()
"""pdfium must not be entered by two threads."""
_PASSWORD_ERROR = 4
_UNMAPPED = 0.3
"""Share of characters without a Unicode meaning above which a page is garbage."""
_CELL_GAP = 1.5
"""Space between two words, in sizes of the font, above which they are cells of a table."""
_NAMED_PAGES = 10
_NO_TITLE = re.compile(r"untitled|제목 ?없음|microsoft \w+ - .*|.*\.(?:docx?|hwpx?|pptx?|xlsx?|pdf|txt)", re.I)
"""What programs write into the title when the author gave none."""
_TITLE_LINE = re.compile(r"(?:#+ )?([^\n]{1,39}[^\s.,:;!?])(?=\n|\Z)")

_PROBLEMS = {
    "no_text_layer": "they are pictures without a text layer. Recognise their text (OCR) first.",
    "unmapped_font": "their fonts do not tell which characters they show. Export the file anew, or recognise its text.",
    "damaged": "they are damaged. Export the file anew.",
}


@dataclass(frozen=True)
class _Page:
    lines: Sequence[Line] = ()
    problem: str = ""
    """Why a page that is not blank gives no text."""


def read_pdf(source: Source) -> Iterator[Part]:
    """Yield the pages that hold text; blank ones are left out.

    Raises:
        RecordError: `password`, `damaged`, or, when no page gives text, `no_text_layer` (they are
            pictures) or `unmapped_font` (their characters have no meaning).
    """
    with _PDFIUM:
        document = _open(source)
        try:
            title = clean(document.get_metadata_value("Title")).strip()
            pages = [_page(document, index) for index in range(len(document))]
        finally:
            document.close()
    problems = {
        problem: [number for number, page in enumerate(pages, 1) if page.problem == problem]
        for problem in _PROBLEMS
        if any(page.problem == problem for page in pages)
    }
    if problems and not any(page.lines for page in pages):
        problem = next(iter(problems))
        raise RecordError(problem, f"Its pages ({len(pages)}) give no text: {_PROBLEMS[problem]}")
    for problem, numbers in problems.items():
        listed = ", ".join(map(str, numbers[:_NAMED_PAGES])) + (" and more" if len(numbers) > _NAMED_PAGES else "")
        source.warn(f"{len(numbers)} of {len(pages)} pages were left out ({listed}): {_PROBLEMS[problem]}")
    texts = [clean(text).strip() for text in join_wrapped(without_page_numbers([page.lines for page in pages]))]
    if not title or _NO_TITLE.fullmatch(title):
        first = _TITLE_LINE.match(next(filter(None, texts), ""))
        title = first[1] if first else ""
    for number, text in enumerate(texts, 1):
        if text:
            yield Part(text, title=title, page=number)


def _open(source: Source) -> PdfDocument:
    from pypdfium2 import PdfDocument, PdfiumError

    password = source.pdf_password.get_secret_value() if source.pdf_password else None
    try:
        return PdfDocument(source.data, password=password)
    except PdfiumError as error:
        if error.err_code == _PASSWORD_ERROR:
            found = (
                "The file needs a password" if password is None else "The option 'pdf_password' does not open the file"
            )
            raise RecordError("password", f"{found}. Set 'pdf_password', or save the file without one.") from error
        raise RecordError("damaged", "The file is empty, damaged, or no PDF. Export it anew.") from error


def _page(document: PdfDocument, index: int) -> _Page:
    from pypdfium2 import PdfiumError

    try:
        page = document[index]
        found = _read(page, page.get_textpage())
        page.close()  # its text page, too
        return found
    except PdfiumError:
        return _Page(problem="damaged")


def _read(page: PdfPage, text: PdfTextPage) -> _Page:
    from pypdfium2.raw import FPDFPage_CountObjects, FPDFText_GetUnicode, FPDFText_HasUnicodeMapError

    codes = [FPDFText_GetUnicode(text, i) for i in range(text.count_chars())]
    shown = [i for i, code in enumerate(codes) if not chr(code).isspace()]
    if not shown:
        return _Page(problem="no_text_layer" if FPDFPage_CountObjects(page) > 0 else "")
    if sum(FPDFText_HasUnicodeMapError(text, i) == 1 for i in shown) > _UNMAPPED * len(shown):
        return _Page(problem="unmapped_font")
    return _Page(lines=_lines(text, codes))


def _lines(text: PdfTextPage, codes: Sequence[int]) -> list[Line]:
    lines = []
    start = 0
    for end, code in enumerate([*codes, ord("\n")]):
        if code == ord("\n") or (end > start and codes[end - 1] == ord(HYPHEN)):
            shown = [i for i in range(start, end) if not chr(codes[i]).isspace()]
            if shown:
                lines.append(_line(text, codes, start, end, shown))
            start = end
    return lines


def _line(text: PdfTextPage, codes: Sequence[int], start: int, end: int, shown: Sequence[int]) -> Line:
    from pypdfium2.raw import FS_MATRIX, FPDFText_GetFontSize, FPDFText_GetMatrix

    def box(index: int) -> tuple[float, float, float]:
        left, bottom, right, _ = text.get_charbox(index, loose=True)
        return left, bottom, right

    first, last = shown[0], shown[-1]
    left, bottom, _ = box(first)
    matrix = FS_MATRIX()
    FPDFText_GetMatrix(text, first, matrix)
    size = FPDFText_GetFontSize(text, first) * math.hypot(matrix.c, matrix.d)
    size = round(2 * size) / 2  # which programs that scale their fonts miss by hundredths
    spaced = [(before, after) for before, after in pairwise(shown) if after - before > 1]
    starts = [after for before, after in spaced if box(after)[0] - box(before)[2] > _CELL_GAP * size]
    cells = [_string(codes[a:b]).strip() for a, b in pairwise([first, *starts, last + 1])]
    return Line(
        text=" | ".join(cells) if starts else _string(codes[start:end]),
        left=left,
        right=box(last)[2],
        base=bottom,
        size=size,
        head=box(spaced[0][0] if spaced else last)[2] - left,
        is_row=bool(starts),
    )


def _string(codes: Sequence[int]) -> str:
    # pdfium gives characters beyond U+FFFF as pairs of surrogates.
    text = "".join(map(chr, codes)).replace("\r", "").replace("\n", "")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
