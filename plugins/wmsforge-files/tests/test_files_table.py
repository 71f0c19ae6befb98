"""Tables become readable rows, whatever their delimiter, and no cell is lost."""

from __future__ import annotations

import pytest
from wmsforge_files.source import Part, Source
from wmsforge_files.table import read_table

from wmsforge.errors import RecordError


def rows(text: str) -> tuple[list[Part], list[str]]:
    warnings: list[str] = []
    return list(read_table(Source(text.encode(), warnings.append))), warnings


def test_row_is_told_with_its_column_names() -> None:
    parts, warnings = rows('분류,질문,답변\n입고,"검수는,\n언제 하나요?",하차 직후 합니다.\n')
    assert parts == [
        Part(
            "분류: 입고\n질문: 검수는,\n언제 하나요?\n답변: 하차 직후 합니다.",
            row=1,
            fields={"분류": "입고", "질문": "검수는,\n언제 하나요?", "답변": "하차 직후 합니다."},
        )
    ]
    assert warnings == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_among_cells_full_of_others(delimiter: str) -> None:
    cell = '"a, b; c | d\te"'
    parts, _ = rows(f"구역{delimiter}설명\nA{delimiter}{cell}\nB{delimiter}{cell}\n")
    assert [part.fields for part in parts] == [{"구역": zone, "설명": "a, b; c | d\te"} for zone in "AB"]


def test_one_column_is_not_split_at_its_commas() -> None:
    parts, warnings = rows("질문\n입고, 출고란?\n재고란?\n")
    assert [part.text for part in parts] == ["질문: 입고, 출고란?", "질문: 재고란?"]
    assert warnings == []


def test_ragged_rows_keep_every_cell_and_are_reported() -> None:
    parts, warnings = rows("a,b\n1\n1,2,3\n1,2\n")
    assert [part.text for part in parts] == ["a: 1", "a: 1\nb: 2\n3", "a: 1\nb: 2"]
    assert [part.fields for part in parts] == [
        {"a": "1", "b": ""},
        {"a": "1", "b": "2", "column 3": "3"},
        {"a": "1", "b": "2"},
    ]
    assert warnings == ["rows 1, 2: not 2 cells like the header. All their cells were read."]


def test_unclosed_quote_does_not_swallow_the_rows_below() -> None:
    parts, warnings = rows('a,b\n"열린 따옴표,2\n3,"6"" 파이프"\n')
    assert [part.text for part in parts] == ['a: "열린 따옴표\nb: 2', 'a: 3\nb: 6" 파이프']
    assert warnings == ["row 1: a quote is never closed. The cells were read as they stand."]


def test_empty_rows_are_skipped_and_counted() -> None:
    parts, _ = rows("\n품목,수량\n볼트,1\n,,\n\n너트,2\n")
    assert [(part.row, part.text) for part in parts] == [(1, "품목: 볼트\n수량: 1"), (4, "품목: 너트\n수량: 2")]


def test_repeated_and_missing_column_names_stay_apart() -> None:
    parts, _ = rows("값,값,,column 5\n1,2,3,4,5\n")
    assert parts[0].fields == {"값": "1", "값 (2)": "2", "column 3": "3", "column 5": "4", "column 5 (2)": "5"}
    assert parts[0].text == "값: 1\n값: 2\n3\ncolumn 5: 4\n5"


def test_title_column_is_the_title() -> None:
    parts, _ = rows("문서 제목,내용\n반품 지침,검수 후 격리\n")
    assert parts[0].title == "반품 지침"


def test_line_separator_within_a_cell_ends_no_row() -> None:
    parts, _ = rows("a,b\n1,둘\u2028셋\n")
    assert [part.text for part in parts] == ["a: 1\nb: 둘 셋"]


def test_header_alone_is_refused() -> None:
    with pytest.raises(RecordError, match="no_rows: The table has 2 column names and no rows under them"):
        rows("품목,수량\n")


def test_many_stray_quotes_take_linear_time() -> None:
    parts, warnings = rows("a,b\n" + '"x,"y"z\n' * 20_000)
    assert len(parts) == 20_000
    assert warnings == [
        "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 19990 more: a quote is never closed. The cells were read as they stand."
    ]
