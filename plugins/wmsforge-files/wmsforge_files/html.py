"""HTML: one Document a page, as its reader would see it; headings become Markdown's, tables rows.

Read in one pass and not as a tree: pages that leave cells open nest them by the thousand, and a
tree of those takes minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from wmsforge_files.clean import clean
from wmsforge_files.source import Part, Source

_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title>", re.S | re.I)
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
# What Word leaves, such as `<![if !vml]>`; the parser knows not all of it.
_SECTION = re.compile(r"<!\[[^>]*>")
_UNSEEN = {"script", "style", "noscript", "template", "svg", "iframe", "nav", "footer", "button", "select", "title"}
_HEADINGS = {f"h{level}": f"{'#' * level} " for level in range(1, 7)}
_BLOCKS = {
    *("address", "article", "aside", "blockquote", "caption", "dd", "details", "div", "dl", "dt", "fieldset", "form"),
    *("figcaption", "figure", "header", "hr", "main", "ol", "p", "pre", "section", "summary", "table", "ul"),
    *_HEADINGS,
}


def read_html(source: Source) -> Iterator[Part]:
    """Yield the page's text; its `meta` charset counts where the text is not UTF-8."""
    declared = _CHARSET.search(source.data, 0, 4096)
    html = source.text(declared[1].decode("ascii") if declared else "")
    text = html_to_text(html)
    title, heading = _TITLE.search(html), _HEADING.search(text)
    yield Part(text, title=(html_to_text(title[1]) if title else "") or (heading[1] if heading else ""))


def html_to_text(html: str) -> str:
    """Return the visible text: `#` before headings, `-` before list items, ` | ` between cells."""
    page = _Page()
    page.feed(_SECTION.sub("", html))
    page.close()
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", clean(page.text()))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


@dataclass
class _Frame:
    """The text of the page, of a table or of a cell, as far as it was read."""

    kind: str
    pieces: list[str] = field(default_factory=list)
    cells: int = 0
    """Cells so far in the table's row."""
    layout: bool = False
    """Whether the cell holds a table or a heading, and so is no cell to its reader."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._frames = [_Frame("page")]
        self._unseen: list[str] = []
        self._preformatted = 0

    def text(self) -> str:
        while len(self._frames) > 1:
            self._leave()
        return "".join(self._frames[0].pieces)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen.append(tag)
        if self._unseen:
            return
        if tag in ("tr", "td", "th"):
            self._leave_cell()
            table = self._frames[-1]
            if tag == "tr":
                table.cells = 0
                table.pieces.append("\n")
            else:
                table.pieces.append(" | " if table.cells else "")
                table.cells += 1
                self._frames.append(_Frame("cell"))
            return
        if tag == "table" or tag in _HEADINGS:
            self._frames[-1].layout = True
        self._frames[-1].pieces.append("\n\n" if tag in _BLOCKS else "\n" if tag == "br" else "")
        self._frames[-1].pieces.append("\n- " if tag == "li" else _HEADINGS.get(tag, ""))
        if tag == "table":
            self._frames.append(_Frame("table"))
        self._preformatted += tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
            return
        if self._unseen:
            return
        if tag == "table" and any(frame.kind == "table" for frame in self._frames):
            self._leave_cell()
            self._leave()
        elif tag in ("tr", "td", "th"):
            self._leave_cell()
        self._frames[-1].pieces.append("\n\n" if tag in _BLOCKS else "")
        self._preformatted -= tag == "pre" and self._preformatted > 0

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self._frames[-1].pieces.append(data if self._preformatted else re.sub(r"\s+", " ", data))

    def _leave_cell(self) -> None:
        if self._frames[-1].kind == "cell":
            self._leave()

    def _leave(self) -> None:
        frame = self._frames.pop()
        text = "".join(frame.pieces)
        if frame.kind == "cell" and not frame.layout:
            text = re.sub(r"\s+", " ", text).strip()
        self._frames[-1].pieces.append(text)
