"""Splitting text into sentences without a language model."""

import pytest

from wmsforge.builtin.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("하차합니다. 검수합니다!", ["하차합니다.", "검수합니다!"]),
        ("한빛 WMS 4.2를 씁니다. 목표는 99.5%입니다.", ["한빛 WMS 4.2를 씁니다.", "목표는 99.5%입니다."]),
        ("1. 하차\n2) 검수합니다.\n- 적치\n③ 확정", ["하차", "검수합니다.", "적치", "확정"]),
        ("순서는 이렇습니다. 1. 하차합니다. 2. 검수합니다.", ["순서는 이렇습니다.", "하차합니다.", "검수합니다."]),
        ('"보류합니다." 그다음 알립니다.', ['"보류합니다."', "그다음 알립니다."]),
        ("| A | B |\n|---|---|\n| 1 | 2 |", ["| A | B |"]),
        ("", []),
    ],
)
def test_split(text, sentences):
    assert split_sentences(text) == sentences
