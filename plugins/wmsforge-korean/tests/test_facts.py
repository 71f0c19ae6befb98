"""Figures of Korean text in one spelling."""

import pytest
from wmsforge_korean.facts import facts, missing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("월 39만 원의 스타터 요금제", ["390000 원"]),
        ("390,000원", ["390000 원"]),
        ("12,000,000원", ["12000000 원"]),
        ("목표는 99.5%입니다.", ["99.5 %"]),
        ("1,234 EA를 셉니다.", ["1234 개"]),
        ("오류 코드 E-4012와 로케이션 a-01-02-03", ["E-4012", "A-01-02-03"]),
        ("2025-03-14까지 1588-1234로", ["2025-03-14", "1588-1234"]),
        ("1.2.3 버전", ["1.2.3"]),
        ("여섯 가지 KPI와 7단계, 두 번", ["6 개", "7 단계", "2 번"]),
        ("14시 30분", ["14 시", "30 분"]),
        ("2~8℃에서 보관", ["2 ℃", "8 ℃"]),
        ("2만~3만 원", ["20000 원", "30000 원"]),
        ("시간당 110라인, 약 1.8배", ["110 라인", "1.8 배"]),
        ("| 표준 시간(분) | 8 |", ["8"]),
        ("3분의 2 이상", ["3 분", "2"]),
        ("한빛 WMS 4.2를 다시 한 번 확인", ["4.2"]),
        ("작업자에게 알립니다.", []),
    ],
)
def test_codes_and_numbers_with_their_units(text, expected):
    assert [str(fact) for fact in facts(text)] == expected


def test_one_counts_only_in_what_supports():
    assert [str(fact) for fact in facts("한 달에 한 번", one=True)] == ["1 달", "1 번"]


@pytest.mark.parametrize(
    ("stated", "known", "lacking"),
    [
        ("39만원입니다.", "월 390,000원을 냅니다.", []),
        ("4시간 안에", "4일 안에, 2시간 뒤에", ["4 시간"]),
        ("8분 걸립니다.", "| 표준 시간(분) | 8 |", []),
        ("오차는 3퍼센트", "오차는 3%", []),
        ("E-102입니다.", "E-101입니다.", ["E-102"]),
        ("1회 하고 200개를", "한 번 하고 20개를", ["200 개"]),
    ],
)
def test_missing_needs_value_and_unit(stated, known, lacking):
    assert [str(fact) for fact in missing(facts(stated), facts(known, one=True))] == lacking
