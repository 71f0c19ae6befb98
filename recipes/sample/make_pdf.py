"""Make documents/wms_도입_안내서.pdf from adoption_guide.txt.

The text has four kinds of line: '# ' title, '## ' section, '| a | b |' table row (first row is the header), prose.
Run, on Debian or Ubuntu:

    apt-get install -y fonts-nanum && pip install reportlab && python make_pdf.py

The embedded font is Nanum Gothic (SIL Open Font License, which allows embedding). The same inputs give the same bytes.
"""

from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

HERE = Path(__file__).parent
FONTS = Path("/usr/share/fonts/truetype/nanum")
TITLE = ParagraphStyle("title", fontName="NanumBold", fontSize=19, leading=28, spaceAfter=6)
SECTION = ParagraphStyle("section", fontName="NanumBold", fontSize=13.5, leading=20, spaceBefore=16, spaceAfter=4)
BODY = ParagraphStyle("body", fontName="Nanum", fontSize=11, leading=19, spaceAfter=5)
CELL = ParagraphStyle("cell", fontName="Nanum", fontSize=10, leading=14)
HEAD = ParagraphStyle("head", parent=CELL, fontName="NanumBold")
GRID = [
    ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
    ("BACKGROUND", (0, 0), (-1, 0), colors.Color(0.90, 0.93, 0.97)),
    ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
]


def table(rows: list[list[str]], width: float) -> Table:
    """Lay out one table; a short last column shares the width evenly, a long one takes half of it."""
    columns = len(rows[0])
    share = 0.5 if max(len(row[-1]) for row in rows) > 14 else 1 / columns
    widths = [width * (1 - share) / (columns - 1)] * (columns - 1) + [width * share]
    cells = [[Paragraph(escape(cell), CELL if i else HEAD) for cell in row] for i, row in enumerate(rows)]
    return Table(cells, colWidths=widths, style=GRID, spaceBefore=3, spaceAfter=6)


def story(text: str, width: float) -> list:
    """Turn the marked-up lines into one list of flowables, each section kept on one page."""
    blocks: list[list] = [[]]
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            blocks[-1].append(table(rows, width))
            rows = []
        if line.startswith("## "):
            blocks.append([Paragraph(escape(line[3:]), SECTION)])
        elif line.startswith("# "):
            blocks[-1].append(Paragraph(escape(line[2:]), TITLE))
        elif line:
            blocks[-1].append(Paragraph(escape(line), BODY))
    return [KeepTogether(block) for block in blocks] + [Spacer(1, 4)]


def page_number(canvas, document) -> None:
    """Write the running foot: the document's number and the page."""
    canvas.setFont("Nanum", 8.5)
    canvas.drawString(22 * mm, 12 * mm, "HB-PL-01 한빛 WMS 도입 안내서")
    canvas.drawRightString(A4[0] - 22 * mm, 12 * mm, f"{document.page}쪽")


def main() -> None:
    pdfmetrics.registerFont(TTFont("Nanum", FONTS / "NanumGothic.ttf"))
    pdfmetrics.registerFont(TTFont("NanumBold", FONTS / "NanumGothicBold.ttf"))
    document = SimpleDocTemplate(
        str(HERE / "documents" / "wms_도입_안내서.pdf"),
        pagesize=A4, leftMargin=22 * mm, rightMargin=22 * mm, topMargin=20 * mm, bottomMargin=22 * mm,
        title="한빛 WMS 도입 비용과 절차 안내서", author="wmsforge", lang="ko", invariant=1,
    )  # fmt: skip
    text = (HERE / "adoption_guide.txt").read_text(encoding="utf-8")
    document.build(story(text, document.width), onFirstPage=page_number, onLaterPages=page_number)


if __name__ == "__main__":
    main()
