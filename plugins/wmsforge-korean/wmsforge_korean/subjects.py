"""What a question is about, to tell apart questions that differ in one decisive word.

"입고 검수는 어떻게 하나요?" and "출고 검수는 어떻게 하나요?" are closer to each other, in vectors and
in letters, than most paraphrases are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz import fuzz

from wmsforge_korean.facts import CODE
from wmsforge_korean.morphemes import kiwi

_SUBJECT_TAGS = frozenset({"NNG", "NNP", "SL", "SH", "XR"})
_SAID_IN_MANY_WAYS = re.compile(
    "방법|뜻|의미|경우|때|이유|원인|기준|차이|설명|절차|정보|내용|사용|이용|실행|처리|조치|관리|대략|최대|단위|필요|가능|안|이내"
    "|전|뒤|다음|동안|정도|하나|시즌|차량|차|주|기능|종류|역할|개념|정의|문제|상황|도움|효과"
)
"""Nouns that paraphrases of one question swap freely."""
_SAME_FRAME = 80  # per cent; see the README for how it was measured
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_ASKS = {
    "who": re.compile(r"누가|누구"),
    "when": re.compile(r"언제|며칠|몇\s?(?:시|일|월)(?!간)"),
    "where": re.compile(r"어디"),
    "why": re.compile(r"왜|이유"),
    "how much": re.compile(r"얼마|몇\s?(?!시|일|월)\S"),
}


@dataclass(frozen=True)
class Subject:
    """The decisive words of one question."""

    question: str
    nouns: frozenset[str]
    numbers: frozenset[str]
    """Codes and numbers as written, without thousands separators."""
    asks: frozenset[str]
    """Which of who, when, where, why and how much it asks; often none."""

    def differs(self, other: Subject) -> bool:
        """Tell whether the two cannot be the same question.

        Both name numbers and not the same ones, or both ask by a question word and not by the same
        one, or one has another noun in the place of the other's: what remains without these nouns
        is nearly the same. Paraphrases with other nouns are put together otherwise, too.
        """
        if self.numbers and other.numbers and self.numbers != other.numbers:
            return True
        if self.asks and other.asks and not self.asks & other.asks:
            return True
        mine, others = self.nouns - other.nouns, other.nouns - self.nouns
        return bool(mine and others) and fuzz.ratio(self._without(mine), other._without(others)) >= _SAME_FRAME

    def _without(self, nouns: frozenset[str]) -> str:
        longest_first = sorted(nouns, key=lambda noun: (-len(noun), noun))
        return " ".join(re.sub("|".join(map(re.escape, longest_first)), " ", self.question.lower()).split())


def subject(question: str) -> Subject:
    """Return the decisive words of a question."""
    codes = {code.upper() for code in CODE.findall(question)}
    rest = CODE.sub(" ", question)
    return Subject(
        question=question,
        nouns=frozenset(
            token.form.lower()
            for token in kiwi().tokenize(rest)
            if token.tag in _SUBJECT_TAGS and not _SAID_IN_MANY_WAYS.fullmatch(token.form)
        ),
        numbers=frozenset(codes | {number.replace(",", "") for number in _NUMBER.findall(rest)}),
        asks=frozenset(what for what, pattern in _ASKS.items() if pattern.search(question)),
    )
