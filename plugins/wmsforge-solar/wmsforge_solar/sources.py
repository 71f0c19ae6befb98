"""Citations in a model's text, and the line of sources that is made from them.

A model that is asked for a list of sources invents file names. So it is asked for numbers only, a
list that it writes all the same is taken off, and the line is made from the passages it cited.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from wmsforge.builtin.rag import take_citations
from wmsforge.builtin.rag_prompt import one_line
from wmsforge.records import Passage, Retrieved
from wmsforge_solar.prompt import Wording

_NAME = r"(?:문서|참고|자료|출처|Documents?|Doc|Sources?)?\s?"
_CITATION = re.compile(rf"\s*\[{_NAME}(\d{{1,2}}(?:\s*[,;·]\s*{_NAME}\d{{1,2}})*)\]", re.IGNORECASE)
"""`[1]`, `[1, 3]`, `[문서 2]`."""
_MARK = r"(?:출처|참고\s?문서|참고\s?자료|참조|근거\s?문서|Sources?|References?)\W{0,3}[:：]"
_OWN_LIST = re.compile(
    rf"(?:^|\n|(?<=[.!?\])]))[ \t]*[-*#(\[]*\s*{_MARK}[^\n]*(?:\n[ \t]*(?:(?:[-*•(\[]|\d{{1,2}}[.)])[^\n]*)?)*\Z",
    re.IGNORECASE,
)
"""A list of sources that ends the text, from its '출처:' on."""
_ASIDE = re.compile(rf"\s*\({_MARK}[^()\n]*\)", re.IGNORECASE)
"""`(출처: 문서 1)` in the middle."""
_BY_NAME = re.compile(r"(?:문서|Document)\s?(\d{1,2})(?!\d)", re.IGNORECASE)


def take_apart(written: str, shown: int) -> tuple[str, list[int]]:
    """Return a model's text without citations and without a list of sources of its own, and the numbers cited.

    Numbers in its own list count too, the names it gives them do not.

    Args:
        shown: How many passages the model saw; higher numbers in brackets are part of the text.
    """
    _, numbers = take_citations(_CITATION, written, shown)
    for pattern in (_ASIDE, _OWN_LIST):
        for aside in pattern.finditer(written):
            numbers += map(int, _BY_NAME.findall(aside[0]))
        written = pattern.sub("", written)
    return take_citations(_CITATION, written, shown)[0].strip(), numbers


def source_line(words: Wording, retrieved: Sequence[Retrieved], cited: Sequence[int]) -> str:
    """Return '출처: [1] wms_manual_출고.txt, 크로스도킹; [3] faq.csv, 12행', or '' where nothing is cited.

    The numbers count `retrieved` from 1, as a row's `sources` do. Passages of one section share an entry.

    Args:
        cited: Indexes into `retrieved`.
    """
    places: dict[str, list[int]] = {}
    for index in sorted(set(cited)):
        places.setdefault(_place(words, retrieved[index].passage), []).append(index + 1)
    entries = [f"[{', '.join(map(str, numbers))}] {place}" for place, numbers in places.items()]
    return f"{words.sources}: {'; '.join(entries)}" if entries else ""


def _place(words: Wording, passage: Passage) -> str:
    name = PurePosixPath(passage.path).name
    section = passage.section.rpartition(" > ")[2]
    parts = [
        name,
        words.page.format(passage.page) if passage.page is not None else "",
        words.row.format(passage.row) if passage.row is not None else "",
        section,
    ]
    return ", ".join(one_line(part) for part in parts if part)
