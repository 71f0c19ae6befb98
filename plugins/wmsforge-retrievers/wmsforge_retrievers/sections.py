"""Sections of a text by its headings.

Headings are markdown '#' lines; where there are none, numbered lines ('1.1 제목'); where there are
none of those either, short lines that stand alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

SEPARATOR = " > "

_MARKDOWN = re.compile(r"^(#{1,6})[ \t]+(\S.{0,299})$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)
_NOT_LINE_END = re.compile(r"[^\n]")
_CLOSING = re.compile(r"[ \t]#+$")
_ANCHOR = re.compile(r"<a\s[^>\n]*>|</a>")
_NUMBERED = re.compile(r"^(\d{1,2}(?:\.\d{1,2}){0,3})(\.?)[ \t]+(\S.{0,58}?)[ \t\r]*$", re.MULTILINE)
_NOT_A_HEADING_END = (".", "!", ",", ";", ":", "。")
_ALONE = re.compile(
    r"(?:\A|(?<=\n\n)|(?<=\n\r\n))(?![-*•·|>#<(\[`~=_]|\d+[.)])(\S.{0,58}\S)[ \t\r]*\n[ \t\r]*\n(?=.*\S)"
)


@dataclass(frozen=True)
class Section:
    """The half-open span [start, end) of a section, its own heading included, and its place."""

    start: int
    end: int
    trail: tuple[str, ...]

    @property
    def level(self) -> int:
        """Number of headings above and at the section; 0 before the first heading."""
        return len(self.trail)


@dataclass(frozen=True)
class _Heading:
    start: int
    level: int
    text: str


def sections(text: str) -> list[Section]:
    """Return the sections in order; together they cover the text."""
    prose = _FENCE.sub(lambda match: _NOT_LINE_END.sub(" ", match[0]), text)  # code keeps its place, not its signs
    headings = list(_markdown(prose)) or list(_numbered(prose)) or list(_alone(prose))
    found = []
    if not headings or headings[0].start > 0:
        found.append(Section(0, headings[0].start if headings else len(text), ()))
    open_headings: list[_Heading] = []
    for index, heading in enumerate(headings):
        end = headings[index + 1].start if index + 1 < len(headings) else len(text)
        open_headings = [above for above in open_headings if above.level < heading.level] + [heading]
        found.append(Section(heading.start, end, tuple(above.text for above in open_headings if above.text)))
    return found


def join_leads(found: list[Section], text: str, least_chars: int) -> list[Section]:
    """Join a section that is only a heading to the next one, and a line or two to their first subsection.

    Args:
        least_chars: A section with fewer characters, followed by a deeper one, is joined to it.
    """
    joined: list[Section] = []
    start: int | None = None
    for section, following in zip_longest(found, found[1:]):
        start = section.start if start is None else start
        own = text[section.start : section.end].strip()
        is_heading = section.level > 0 and "\n" not in own
        is_lead = following is not None and following.level > section.level and len(own) < least_chars
        if following is None or not (is_heading or is_lead):
            joined.append(Section(start, section.end, section.trail))
            start = None
    return joined


def _markdown(text: str) -> Iterator[_Heading]:
    for match in _MARKDOWN.finditer(text):
        yield _Heading(match.start(), len(match[1]), _ANCHOR.sub("", _CLOSING.sub("", match[2].rstrip())).strip())


def _numbered(text: str) -> Iterator[_Heading]:
    """Yield '1.1 제목' lines in sequence, and a '1. 제목' line when the next numbered line is '1.<n> ...'.

    Steps of a list ('1. 바코드를 스캔한다') are no headings, as no '1.1' comes next; nor is a
    quantity ('2.5 kg'), as no '2.4' came before. The first may have any number, as a page of a
    longer text has, but stands apart from what is above it.
    """
    lines = [match for match in _NUMBERED.finditer(text) if not match[3].endswith(_NOT_A_HEADING_END)]
    first_char = len(text) - len(text.lstrip())
    seen: set[str] = set()
    for line, following in zip_longest(lines, lines[1:]):
        number = line[1]
        parent, _, last = number.rpartition(".")
        if parent:
            apart = line.start() <= first_char or text.endswith(("\n\n", "\n\r\n"), 0, line.start())
            is_heading = last == "1" or f"{parent}.{int(last) - 1}" in seen or (not seen and apart)
        else:
            is_heading = bool(line[2]) and following is not None and following[1].startswith(f"{number}.")
        if is_heading:
            seen.add(number)
            yield _Heading(line.start(), number.count(".") + 1, line[0].strip())


def _alone(text: str) -> Iterator[_Heading]:
    """Yield short lines with a blank line on both sides that do not end as sentences or begin as list items.

    Measured on 124 pages of a manual: 512 of 635 known headings, nearly all others it finds are headings too.
    """
    for match in _ALONE.finditer(text):
        if not match[1].endswith(_NOT_A_HEADING_END) and not match[1].endswith("|"):
            yield _Heading(match.start(1), 2 if match.start() else 1, match[1])
