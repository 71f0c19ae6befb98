"""PDF pages come out in whole sentences with their numbers; what holds no text is refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from wmsforge_files.lines import HYPHEN, Line, join_wrapped
from wmsforge_files.pdf import read_pdf
from wmsforge_files.source import Part, Source

from wmsforge.errors import RecordError

Pdf = Callable[..., bytes]


def pages(data: bytes) -> tuple[list[Part], list[str]]:
    warnings: list[str] = []
    return list(read_pdf(Source(data, warnings.append))), warnings


def lines(*texts: str, size: float = 10) -> list[Line]:
    """Lay out lines of 10-point text, one under the other."""
    return [
        Line(text, 50, 50 + 10 * len(text.strip()), 800 - 15 * row, size, 10 * len(text.split()[0]))
        for row, text in enumerate(texts)
    ]


def test_pages_keep_their_numbers_and_blank_ones_are_left_out(pdf: Pdf) -> None:
    parts, warnings = pages(pdf([[(50, 800, "입고 지침")], [], [(50, 800, "출고 지침")]], title="창고 매뉴얼"))
    assert parts == [Part("입고 지침", title="창고 매뉴얼", page=1), Part("출고 지침", title="창고 매뉴얼", page=3)]
    assert warnings == []


@pytest.mark.parametrize("title", ["", "untitled", "Microsoft Word - 매뉴얼", "매뉴얼.hwp"])
def test_first_line_is_the_title_where_the_author_gave_none(pdf: Pdf, title: str) -> None:
    parts, _ = pages(pdf([[(50, 800, "피킹 절차"), (50, 770, "지시를 받습니다.")]], title=title))
    assert parts[0].title == "피킹 절차"


def test_wrapped_sentence_of_a_real_page_becomes_whole(pdf: Pdf) -> None:
    parts, _ = pages(
        pdf(
            [
                [
                    (50, 800, "검수"),
                    (50, 785, "검수자는 하차한 상자의 수량과 파손을 먼저 확인하고 결과"),
                    (50, 770, "를 단말기에 입력합니다. 수량이 다르면 관리자에게 알리고 "),
                    (50, 755, "상자를 격리 구역으로 옮깁니다."),
                ]
            ]
        )
    )
    assert parts[0].text == (
        "검수\n검수자는 하차한 상자의 수량과 파손을 먼저 확인하고 결과를 단말기에 입력합니다. "
        "수량이 다르면 관리자에게 알리고 상자를 격리 구역으로 옮깁니다."
    )


def test_words_are_kept_apart_where_no_line_keeps_its_space() -> None:
    wrapped = lines("재고 실사는 매월 말에 창고별로 나누어서", "진행하며 그 결과를 보고합니다.")
    assert join_wrapped([wrapped]) == ["재고 실사는 매월 말에 창고별로 나누어서 진행하며 그 결과를 보고합니다.\n"]


def test_words_are_put_together_where_lines_keep_their_spaces() -> None:
    wrapped = lines(
        "재고 실사는 매월 말에 창고별로 나누어 진", "행하며 그 결과는 본사 재고 관리자에게 ", "바로 알립니다."
    )
    assert join_wrapped([wrapped]) == [
        "재고 실사는 매월 말에 창고별로 나누어 진행하며 그 결과는 본사 재고 관리자에게 바로 알립니다.\n"
    ]


def test_lines_of_a_list_as_long_as_one_another_stay_apart() -> None:
    text = "A-01 볼트\nA-02 너트\nA-03 와셔\n"
    assert join_wrapped([lines(*text.splitlines())]) == [text]


def test_list_items_headings_and_short_lines_stay_apart() -> None:
    text = "다음 순서로 출고 검수를 진행하고 기록\n1. 송장을 확인\n- 라벨을 확인\n② 상자를 봉함\n표 머리\n"
    assert join_wrapped([lines(*text.splitlines())]) == [text]


def test_larger_font_is_no_continuation() -> None:
    body, heading = lines("앞 문단의 마지막 줄이 마침표도 없이 여백까지 감"), lines("다음 장의 제목", size=14)
    assert join_wrapped([[*body, *heading]]) == ["앞 문단의 마지막 줄이 마침표도 없이 여백까지 감\n# 다음 장의 제목\n"]


def test_fonts_larger_than_the_text_make_headings_by_their_size() -> None:
    first = [*lines("안내서", size=19), *lines("1. 요금", size=13)]
    second = [
        *lines("이 장은 요금제의 이름과 값을 설명합니다.", size=10),
        *lines("2. 계약", "큰 글자의 문장입니다.", size=13),
    ]
    assert join_wrapped([first, [*second, *lines("쪽", size=8)]]) == [
        "# 안내서\n## 1. 요금\n",
        "이 장은 요금제의 이름과 값을 설명합니다.\n## 2. 계약\n큰 글자의 문장입니다.\n쪽\n",
    ]


def test_hyphen_goes_from_words_and_stays_in_codes() -> None:
    wrapped = lines("Move it to the ware" + HYPHEN, "house and scan code SKU" + HYPHEN, "1204 twice.")
    assert join_wrapped([wrapped]) == ["Move it to the warehouse and scan code SKU-1204 twice.\n"]


def test_column_beside_another_is_wrapped_at_its_own_margin() -> None:
    left = lines("왼쪽 단의 첫 줄은 여기 적은 만큼이나 길게", "이어지고 여기서 끝")
    right = [Line(line.text, line.left + 300, line.right + 400, line.base, 10, line.head) for line in left]
    whole = "왼쪽 단의 첫 줄은 여기 적은 만큼이나 길게 이어지고 여기서 끝\n"
    assert join_wrapped([[*left, *right]]) == [whole * 2]


def test_cells_of_a_row_stand_apart_and_rows_are_not_joined(pdf: Pdf) -> None:
    rows = [
        ("요금제 이름과 등급", "포함된 출고 건수"),
        ("스타터 요금제", "한 달에 오천 건"),
        ("표준", "한 달에 삼만 건"),
    ]
    cells = [[(50, 800 - 15 * n, name), (400, 800 - 15 * n, value)] for n, (name, value) in enumerate(rows)]
    parts, _ = pages(pdf([[cell for row in cells for cell in row]]))
    assert parts[0].text == "\n".join(f"{name} | {value}" for name, value in rows)


def test_lines_that_count_the_pages_are_off(pdf: Pdf) -> None:
    shown = [
        [(50, 820, f"지침 {n}쪽 ({n}/3)"), (50, 800, "품목 수량"), (50, 700, f"본문 {n * n}"), (50, 30, f"- {n} -")]
        for n in (1, 2, 3)
    ]
    parts, _ = pages(pdf(shown))
    assert [part.text for part in parts] == [f"품목 수량\n본문 {n * n}" for n in (1, 2, 3)]


def test_picture_pages_are_refused_or_reported(pdf: Pdf) -> None:
    drawing = "0 0 100 100 re f"
    with pytest.raises(RecordError) as caught:
        pages(pdf([[], []], drawing=drawing))
    assert (caught.value.reason, caught.value.detail) == (
        "no_text_layer",
        "Its pages (2) give no text: they are pictures without a text layer. Recognise their text (OCR) first.",
    )
    parts, warnings = pages(pdf([[(50, 800, "표지")], []], drawing=drawing))
    assert [part.page for part in parts] == [1]
    assert warnings == [
        "1 of 2 pages were left out (2): they are pictures without a text layer. Recognise their text (OCR) first."
    ]


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"%PDF-1.7\ngarbage"])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError, match="damaged: The file is empty, damaged, or no PDF"):
        pages(data)


def test_threads_read_pdfs_side_by_side(pdf: Pdf) -> None:
    files = [pdf([[(50, 800 - 15 * row, f"문서 {number} 줄 {row}") for row in range(30)]] * 4) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(pages, files))
    assert [parts[3].text.split("\n")[0] for parts, _ in found] == [f"문서 {number} 줄 0" for number in range(16)]
