"""Puts sentences back together that a page had to wrap, and leaves all other lines apart.

A line goes on in the next one when it fills its column, does not end a sentence, and the next line
is no list item and no heading. What is set larger than the text is a heading, and gets the mark
that Markdown gives one. Korean also wraps inside words, so whether a space belongs between
the two is learned from the document: where some wrapped lines keep the space they were broken at,
those without one were broken inside a word.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

HYPHEN = "\x02"
"""Ends a line that was broken at a hyphen."""
_END = re.compile(r"(?:[가-힣A-Za-z)\]'\"’”]\s*[.?!。]['\"’”)\]]*|\|)\s*$")
"""Of a sentence, or of a table's row."""
_ITEM = re.compile(
    r"\s*(?:[-–—*•‣▪◦●○◎■□◆◇▶▷※☞·ㆍ|]|[①-⑳]|\(?\d{1,2}[.)]\s|\(?[가-하A-Za-z][.)]\s|제\s?\d+\s?[조장절항])"
)
_LATIN_BREAK = re.compile(r"[a-z]$")
_LONG_LINE = 20
"""Characters from which on a line may be wrapped; shorter ones are those of lists and tables."""
_SPARE_CHARACTERS = 2
"""How far below the longest line one may stay that was wrapped at a number of characters."""
_LARGER_GAP = 1.4
_LARGER_FONT = 1.1
_MOST_LEVELS = 6
_KEPT_SPACES = 0.1


@dataclass(frozen=True)
class Line:
    """One line of a page, in points from the page's lower left."""

    text: str
    left: float
    right: float
    base: float
    size: float
    """Of its first character's font, in points."""
    head: float
    """Width of its first word."""
    is_row: bool = False
    """Whether it is a row of a table, told by the gaps between its cells."""


def join_wrapped(pages: Sequence[Sequence[Line]]) -> list[str]:
    """Return each page's text: paragraphs, headings, list items and rows, each on a line of its own."""
    wrapped = [_wrapped(lines) for lines in pages]
    breaks = [
        (line.text, following.text)
        for lines, goes_on in zip(pages, wrapped, strict=True)
        for (line, following), joined in zip(pairwise(lines), goes_on, strict=False)
        if joined and not line.text.endswith(HYPHEN)
    ]
    kept = sum(line[-1:].isspace() or following[:1].isspace() for line, following in breaks)
    glue = "" if kept > _KEPT_SPACES * len(breaks) else " "
    marks = _heading_marks(pages)
    return [_joined(lines, goes_on, glue, marks) for lines, goes_on in zip(pages, wrapped, strict=True)]


def _heading_marks(pages: Sequence[Sequence[Line]]) -> dict[float, str]:
    """Return `# ` for the largest font, `## ` for the next, down to those not larger than the text's."""
    characters: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            characters[line.size] += len(line.text)
    text_size = max(characters, key=lambda size: characters[size], default=0)
    larger = sorted((size for size in characters if size > _LARGER_FONT * text_size), reverse=True)
    return {size: f"{'#' * min(level, _MOST_LEVELS)} " for level, size in enumerate(larger, 1)}


def _wrapped(lines: Sequence[Line]) -> list[bool]:
    """Tell for each line whether the next one continues it."""
    gaps = sorted(line.base - following.base for line, following in pairwise(lines) if line.base > following.base)
    usual_gap = gaps[len(gaps) // 2] if gaps else 0
    longest = max((len(line.text) for line in lines), default=0)
    goes_on = [_goes_on(line, following, lines, longest, usual_gap) for line, following in pairwise(lines)]
    return [*goes_on, False] if lines else []


def _goes_on(line: Line, following: Line, lines: Sequence[Line], longest: int, usual_gap: float) -> bool:
    if line.text.endswith(HYPHEN):
        return True
    if line.is_row or following.is_row or len(line.text) < _LONG_LINE:
        return False
    if _END.search(line.text) or _ITEM.match(following.text):
        return False
    if max(line.size, following.size) > _LARGER_FONT * min(line.size, following.size):
        return False
    if line.base - following.base > _LARGER_GAP * usual_gap:
        return False
    margin = max(other.right for other in lines if other.left < line.right)  # of its own column
    space = (line.right - line.left) / len(line.text)  # at most as wide as its mean character
    return margin - line.right < space + following.head or len(line.text) >= longest - _SPARE_CHARACTERS


def _joined(lines: Sequence[Line], goes_on: Sequence[bool], glue: str, marks: Mapping[float, str]) -> str:
    text = ""
    for line, joined in zip(lines, goes_on, strict=True):
        if text[-1:] in ("", "\n"):
            is_heading = not (line.is_row or _END.search(line.text))
            text += (marks.get(line.size, "") if is_heading else "") + line.text.lstrip()
        else:
            text += line.text
        if not joined:
            text = text.rstrip() + "\n"
        elif text.endswith(HYPHEN):
            text = text.removesuffix(HYPHEN)
            text += "" if _LATIN_BREAK.search(text) else "-"
        else:
            text += glue
    return text
