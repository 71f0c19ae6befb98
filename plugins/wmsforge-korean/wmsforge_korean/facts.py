"""Facts a text states in figures: codes, and numbers with their units, in one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wmsforge_korean.morphemes import kiwi

if TYPE_CHECKING:
    from kiwipiepy import Token

CODE = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z]+-?\d[A-Za-z0-9]*(?:-[A-Za-z0-9]+)*|\d+(?:-\d+)+|\d+(?:\.\d+){2,})", re.ASCII
)
"""E-4012, A-01-02-03, PO20240001, 2025-03-14, 1.2.3."""
_MULTIPLIERS = {"십": 10, "백": 100, "천": 1_000, "만": 10_000, "억": 100_000_000}
_NATIVE = {"두": 2, "세": 3, "네": 4, "다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10}
"""Numerals written as words."""
_NO_UNITS = frozenset({"이상", "이하", "이내", "미만", "초과", "정도", "가량", "안팎", "사이", "전", "후", "뒤", "중"})
_SAME_UNIT = {"퍼센트": "%", "프로": "%", "ea": "개", "가지": "개", "종": "개", "회": "번", "㎏": "kg", "도": "℃"}


class Fact(NamedTuple):
    """A code (unit "code"), or a number in plain digits with its unit, "" when none stands by it."""

    value: str
    unit: str

    def __str__(self) -> str:
        return self.value if self.unit in ("", "code") else f"{self.value} {self.unit}"


def facts(text: str, *, one: bool = False) -> list[Fact]:
    """Return the codes, then the numbers of a text: '39만 원' -> ('390000', '원'), '여섯 명' -> ('6', '명').

    Args:
        one: Count '한 번' as 1, too. As often as not it means nothing ('다시 한 번'), so count it in
            what supports a statement, not in the statement.
    """
    codes = [Fact(code.upper(), "code") for code in CODE.findall(text)]
    tokens = kiwi().tokenize(CODE.sub(lambda code: " " * len(code[0]), text))
    numbers: list[Fact] = []
    for index in range(len(tokens) - 1, -1, -1):
        value = 1.0 if one and tokens[index].form == "한" and _counts(tokens, index) else _value(tokens, index)
        if value is None:
            continue
        after = index + 1
        while after < len(tokens) and tokens[after].tag == "NR" and tokens[after].form in _MULTIPLIERS:
            value *= _MULTIPLIERS[tokens[after].form]
            after += 1
        unit = _unit(tokens, after)
        if numbers and [token.tag for token in tokens[after : after + 2]] == ["SO", "SN"]:
            unit = numbers[-1].unit  # a range: "2~8℃" is 2 ℃ and 8 ℃
        numbers.append(Fact(f"{value:.10g}", unit))
    return codes + numbers[::-1]


def _value(tokens: Sequence[Token], index: int) -> float | None:
    token = tokens[index]
    if token.tag == "SN" and re.fullmatch(r"\d[\d,]*(?:\.\d+)?", token.form, re.ASCII):
        return float(token.form.replace(",", ""))
    return _NATIVE.get(token.form) if _counts(tokens, index) else None


def _counts(tokens: Sequence[Token], index: int) -> bool:
    """Tell whether the token is a word before a counter, as in '두 번'."""
    return tokens[index].tag in ("MM", "NR") and index + 1 < len(tokens) and tokens[index + 1].tag == "NNB"


def _unit(tokens: Sequence[Token], index: int) -> str:
    """Return the token's form when it is the unit of the number before it."""
    if index == len(tokens):
        return ""
    form: str = tokens[index].form.lower()
    tag = tokens[index].tag
    blanks = tokens[index].start - tokens[index - 1].end
    beside = (tag in ("NNB", "SL") and blanks <= 1) or (tag in ("NNG", "XSN") and blanks == 0)
    if form in ("%", "℃", "㎏") or (beside and form not in _NO_UNITS):
        return _SAME_UNIT.get(form, form)
    return ""


def missing(stated: Iterable[Fact], known: Iterable[Fact]) -> list[Fact]:
    """Return the stated facts that are not known: the same value, and the same unit where both have one."""
    units: dict[str, set[str]] = {}
    for fact in known:
        units.setdefault(fact.value, set()).add(fact.unit)
    return [fact for fact in stated if not _among(fact.unit, units.get(fact.value, set()))]


def _among(unit: str, known: set[str]) -> bool:
    return unit in known or (bool(known) and (not unit or "" in known))
