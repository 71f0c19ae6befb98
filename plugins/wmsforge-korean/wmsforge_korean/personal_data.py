"""Masks Korean personal data in questions and answers, or drops them, by the rules of ko-pii.

A warehouse is full of numbers that look like phone numbers, accounts or resident numbers. A number
that the text itself calls an order, invoice, lot or item number is never touched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from wmsforge import options
from wmsforge.records import Answer
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop
from wmsforge_korean.morphemes import kiwi

Kind = Literal[
    "resident_number",
    "foreigner_number",
    "driver_licence",
    "passport",
    "card",
    "account",
    "phone",
    "email",
    "name",
    "address",
    "birth_date",
    "employee_number",
    "business_number",
    "vehicle",
    "ip_address",
]
KINDS: dict[str, tuple[Kind, str]] = {
    "RRN": ("resident_number", "주민등록번호"),
    "FRN": ("foreigner_number", "외국인등록번호"),
    "DRIVER_LICENSE": ("driver_licence", "운전면허번호"),
    "PASSPORT": ("passport", "여권번호"),
    "CARD": ("card", "카드번호"),
    "ACCOUNT": ("account", "계좌번호"),
    "PHONE": ("phone", "전화번호"),
    "EMAIL": ("email", "이메일"),
    "PERSON": ("name", "이름"),
    "ADDRESS": ("address", "주소"),
    "DT_BIRTH": ("birth_date", "생년월일"),
    "EMPLOYEE_ID": ("employee_number", "사번"),
    "BUSINESS_REG": ("business_number", "사업자등록번호"),
    "VEHICLE": ("vehicle", "차량번호"),
    "IP": ("ip_address", "IP주소"),
}
"""ko-pii's label -> our name of the kind and what stands in brackets in its place."""
_DEFAULT: tuple[Kind, ...] = (
    "resident_number",
    "foreigner_number",
    "driver_licence",
    "passport",
    "card",
    "account",
    "phone",
    "email",
    "name",
    "address",
    "birth_date",
)
_CALLED_A_CODE = re.compile(
    r"(?:(?:주문|발주|입고|출고|반품|배송|배차|예약|거래|명세서|접수|추적|트래킹|피킹|웨이브|작업|지시|실사|요청|상품|품목|제품|자재|물품"
    r"|배치|일련|박스|상자|컨테이너|로케이션|위치|도크|장비|기기|모델|버전|문서)\s?(?:번호|코드|넘버|No\.?|ID)"
    r"|송장|운송장|인보이스|전표|발주서|바코드|로트|시리얼|파렛트|팔레트|SKU|LOT|GTIN|SSCC|ASN|EAN|UPC|S/N|PO|B/L)"
    r"\s?(?:번호|코드)?(?:는|은|가|이|를|을|인|로)?\s?[:：#=]?\s?[\"'(\[]?$",
    re.IGNORECASE,
)
"""What stands directly before a number that is no personal data, whatever it looks like."""
_MAY_HOLD = re.compile(r"[\d@]")
"""Without a digit or '@' there is nothing of any kind, and most questions have neither."""
_BESIDE = re.compile(
    r"[\s,:;/()·-]*(?:고객|담당자?|사원|주임|대리|과장|차장|부장|팀장|조장|파트장|센터장|소장|이사|대표|기사)?\s?(?:님|씨)?"
    r"[\s,:;/()·-]*(?:연락처|전화번호|전화|휴대폰|휴대전화|핸드폰|이메일|메일|주소|계좌|주민등록번호|HP|TEL)?[\s,:;/()·-]*",
    re.IGNORECASE,
)
"""What may stand between a name and the data beside it: a title, the name of the data."""


@dataclass(frozen=True)
class Found:
    """One piece of personal data: half-open span [start, end)."""

    kind: Kind
    start: int
    end: int


class PersonalDataFilter(Filter):
    """Replaces what it finds by its kind in brackets ("[전화번호]"), or drops the record.

    Questions: the text. Answers: the text and the text of its question. Nothing else of a record.
    """

    class Options(options.Options):
        action: Literal["mask", "drop"] = Field(
            default="mask", description="'mask' keeps the record with the data replaced, 'drop' drops it."
        )
        kinds: tuple[Kind, ...] = Field(
            default=_DEFAULT,
            min_length=1,
            description="What counts as personal data. A name counts only directly beside other personal data, because "
            "words of the trade look like names; numbers of companies, vehicles and employees are left out by default.",
        )

    options: Options

    async def open(self) -> None:
        wanted = set(self.options.kinds) - {"name"}
        self._labels = [label for label, (kind, _) in KINDS.items() if kind in wanted]

    def check(self, record: Item) -> Verdict:
        texts = [record.text, record.question.text] if isinstance(record, Answer) else [record.text]
        found = [self._find(text) for text in texts]
        if not any(found):
            return KEEP
        counts = Counter(piece.kind for pieces in found for piece in pieces)
        detail = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
        if self.options.action == "drop":
            return drop("personal_data", detail)
        masked = [_mask(text, pieces) for text, pieces in zip(texts, found, strict=True)]
        changes: dict[str, Any] = {"text": masked[0]}
        if isinstance(record, Answer):
            changes["question"] = record.question.model_copy(update={"text": masked[1]})
        return Verdict(keep=True, detail=detail, replacement=record.model_copy(update=changes))

    def _find(self, text: str) -> list[Found]:
        from ko_pii import detect_all

        if not _MAY_HOLD.search(text):
            return []
        found = [
            Found(KINDS[piece.label][0], piece.start, piece.end)
            for piece in detect_all(text, include=self._labels)
            if not _CALLED_A_CODE.search(text[: piece.start]) and "type:representative" not in piece.evidence
        ]
        if found and "name" in self.options.kinds:
            found += _names_beside(text, found)
        return sorted(found, key=lambda piece: piece.start)


def _names_beside(text: str, found: Sequence[Found]) -> list[Found]:
    """Return what ko-pii takes for names, where Kiwi sees a proper noun, too, and other data stands beside it."""
    from ko_pii import detect_all

    proper = [(token.start, token.end) for token in kiwi().tokenize(text) if token.tag == "NNP"]
    names = []
    for name in detect_all(text, include=["PERSON"]):
        between = [(name.end, piece.start) for piece in found] + [(piece.end, name.start) for piece in found]
        if any(start < name.end and end > name.start for start, end in proper) and any(
            start <= end and _BESIDE.fullmatch(text, start, end) for start, end in between
        ):
            names.append(Found("name", name.start, name.end))
    return names


def _mask(text: str, found: Sequence[Found]) -> str:
    words = dict(KINDS.values())
    for piece in reversed(found):
        text = f"{text[: piece.start]}[{words[piece.kind]}]{text[piece.end :]}"
    return text
