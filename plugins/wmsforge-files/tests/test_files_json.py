"""JSON records keep their fields, and broken JSON is refused with its place."""

from __future__ import annotations

import pytest
from wmsforge_files.json_records import read_json, read_json_lines
from wmsforge_files.source import Part, Source

from wmsforge.errors import RecordError


def records(text: str, lines: bool = False) -> tuple[list[Part], list[str]]:
    warnings: list[str] = []
    reader = read_json_lines if lines else read_json
    return list(reader(Source(text.encode(), warnings.append))), warnings


def test_list_gives_a_document_a_record_with_its_fields() -> None:
    parts, _ = records('[{"제목": "피킹", "단계": ["지시", "이동"], "책임": {"부서": "출고"}, "비고": null}, "끝"]')
    assert parts == [
        Part(
            "제목: 피킹\n단계:\n  - 지시\n  - 이동\n책임:\n  부서: 출고",
            title="피킹",
            row=1,
            fields={"제목": "피킹", "단계": ["지시", "이동"], "책임": {"부서": "출고"}, "비고": None},
        ),
        Part("끝", row=2, fields={"value": "끝"}),
    ]


def test_object_is_one_document() -> None:
    parts, _ = records('{"창고": "A", "수량": 3, "사용": true}')
    assert [(part.text, part.row) for part in parts] == [("창고: A\n수량: 3\n사용: true", None)]


def test_object_around_a_list_of_records_is_that_list() -> None:
    parts, _ = records('{"faq": [{"q": "입고란?"}, {"q": "출고란?"}]}')
    assert [(part.row, part.text) for part in parts] == [(1, "q: 입고란?"), (2, "q: 출고란?")]


def test_json_lines_in_a_json_file_are_records() -> None:
    parts, _ = records('{"q": "가"}\n{\n"q": "나"}\n')
    assert [(part.row, part.text) for part in parts] == [(1, "q: 가"), (2, "q: 나")]


def test_doubled_keys_and_nan_are_kept_as_written() -> None:
    parts, _ = records('{"값": 1, "값": 2, "비율": NaN}')
    assert parts[0].fields == {"값": 1, "값 (2)": 2, "비율": "NaN"}


def test_strings_are_cleaned_after_their_escapes() -> None:
    parts, _ = records('{"\\u1112\\u1161\\u11ab": "a\\u0000b\\ud800"}')
    assert parts[0].fields == {"한": "ab\ufffd"}


def test_invalid_json_names_line_and_column() -> None:
    with pytest.raises(RecordError) as caught:
        records('{"q": "입고",\n "a": }')
    assert (caught.value.reason, caught.value.detail) == (
        "invalid_json",
        "At line 2, column 7 the text is not JSON: Expecting value.",
    )


@pytest.mark.parametrize("depth", [101, 2_000, 200_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    with pytest.raises(RecordError, match="too_deep: The values are nested more than 100 levels deep"):
        records("[" * depth + "]" * depth)


def test_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(RecordError, match="invalid_json"):
        records("[" + "9" * 5_000 + "]")


def test_bad_lines_are_reported_and_the_others_read() -> None:
    parts, warnings = records('{"q": "가\u2028나"}\n{"q": \n\n{"q": "다"}\n1 2\n', lines=True)
    assert [(part.row, part.text) for part in parts] == [(1, "q: 가\n나"), (4, "q: 다")]
    assert warnings == [
        "2 lines are not JSON and were skipped, the first: At line 2, column 7 the text is not JSON: Expecting value."
    ]


def test_lines_without_one_record_are_refused() -> None:
    with pytest.raises(RecordError, match="invalid_json: At line 1, column 1"):
        records("입고\n출고\n", lines=True)
