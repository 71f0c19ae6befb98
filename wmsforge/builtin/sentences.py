"""Splits a model's text into sentences without a language model: by lines, list items and full stops."""

from __future__ import annotations

import re

LIST_MARK = re.compile(r"^\s*(?:[-*+•·▪■◦○●▶※>]+|#{1,6}|\(?\d{1,2}[.)]|[①-⑳]|[가-하][.)])\s+")
"""What opens a list item or a heading: '- ', '1. ', '(2) ', '③ ', '가) ', '## '."""
CLOSERS = "\"'”’)]}」』】〉》*_`"
"""What may stand between a full stop and the blank after it."""
_END = re.compile(rf"[.!?。…]+[{re.escape(CLOSERS)}]*(?=\s|$)")


def split_sentences(text: str) -> list[str]:
    """Return the sentences in order, each with its own end mark and without its list marker.

    A piece with fewer than two letters, such as a list number or a table's rule, is no sentence.
    """
    pieces: list[str] = []
    for line in text.splitlines():
        rest = LIST_MARK.sub("", line)
        start = 0
        for end in _END.finditer(rest):
            pieces.append(rest[start : end.end()])
            start = end.end()
        pieces.append(rest[start:])
    return [piece.strip() for piece in pieces if sum(map(str.isalpha, piece)) >= 2]
