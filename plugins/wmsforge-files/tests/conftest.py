"""A writer of small Korean PDF files for the tests of the `files` loader."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

Line = tuple[float, float, str]
"""Left and baseline in points from the page's lower left, text."""

FONT = (
    "<< /Type /Font /Subtype /Type0 /BaseFont /HYSMyeongJo-Medium /Encoding /UniKS-UCS2-H /DescendantFonts [4 0 R] >>",
    "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HYSMyeongJo-Medium /FontDescriptor 5 0 R /DW 1000"
    " /W [1 [333] 2 95 500] /CIDSystemInfo << /Registry (Adobe) /Ordering (Korea1) /Supplement 1 >> >>",
    "<< /Type /FontDescriptor /FontName /HYSMyeongJo-Medium /Flags 6 /FontBBox [0 -148 1001 880]"
    " /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>",
)
"""A font that every reader of Korean PDF knows, so nothing needs to be embedded."""


def _pdf(pages: Sequence[Sequence[Line]], title: str = "", drawing: str = "") -> bytes:
    """Return a PDF with these lines on its pages, in 10 point; `drawing` is put on pages without lines."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", *FONT]
    objects.append(f"<< /Title <FEFF{title.encode('utf-16-be').hex()}> >>")
    kids = []
    for lines in pages:
        shown = [f"BT /F1 10 Tf 1 0 0 1 {x} {y} Tm <{text.encode('utf-16-be').hex()}> Tj ET" for x, y, text in lines]
        content = "\n".join(shown) or drawing
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {len(objects) + 2} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    body = b"%PDF-1.4\n"
    table = ["0000000000 65535 f \n"]
    for number, item in enumerate(objects, 1):
        table.append(f"{len(body):010} 00000 n \n")
        body += f"{number} 0 obj\n{item}\nendobj\n".encode()
    tail = f"trailer\n<< /Size {len(table)} /Root 1 0 R /Info 6 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {len(table)}\n{''.join(table)}{tail}".encode()


@pytest.fixture
def pdf() -> Callable[..., bytes]:
    return _pdf
