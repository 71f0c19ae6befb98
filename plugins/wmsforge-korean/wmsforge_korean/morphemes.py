"""Content morphemes and sentence spans of Korean text, by Kiwi."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kiwipiepy import Kiwi

CONTENT_TAGS = frozenset({"NNG", "NNP", "NNB", "NR", "SL", "SN", "SH", "VV", "VA", "XR", "MAG", "W_SERIAL"})
"""Nouns, numbers, foreign words, verbs, adjectives, roots and general adverbs (Sejong tag set), serial numbers."""
TRADE_WORDS = ("입고", "과입고", "상차", "하차", "반품", "결품", "혼적", "오피킹", "로트", "파렛트")
"""Words of the trade that Kiwi takes apart without help: '입고' is mostly read as '입다' with an ending."""


@cache
def kiwi() -> Kiwi:
    """Return the analyser of this process; loading it takes about two seconds once."""
    from kiwipiepy import Kiwi

    analyser = Kiwi(num_workers=1)
    for word in TRADE_WORDS:
        analyser.add_user_word(word, "NNG")
    return analyser


def morphemes(text: str) -> list[str]:
    """Return the content morphemes in order, lower case: 'E-4012를 확인' -> ['e', '4012', '확인']."""
    return [token.form.lower() for token in kiwi().tokenize(text) if token.tag.split("-")[0] in CONTENT_TAGS]


def sentences(text: str) -> list[tuple[int, int]]:
    """Return the half-open character spans of the sentences, in order, without outer blanks."""
    return [(span.start, span.end) for span in kiwi().split_into_sents(text)]
