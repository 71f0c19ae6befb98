"""Files from the wild behave as their manifest expects, and none stops a run."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from wmsforge_files.clean import clean
from wmsforge_files.find import nfc_path
from wmsforge_files.loader import FilesLoader, FilesOptions

from wmsforge.errors import RecordError
from wmsforge.records import Document
from wmsforge.testing import LocalContext

DATA = Path(__file__).resolve().parents[4] / "shared/data"
NASTY, PAGES = DATA / "nasty", DATA / "wms_ko"
TWIN = PAGES / "d365_wh_cycle-counting.txt"
"""The page that several of the files were made of."""
pytestmark = pytest.mark.skipif(not NASTY.is_dir(), reason=f"the test data {DATA} is not there")

REJECTED = {
    "deep_2000_levels.json": "too_deep",
    "empty.pdf": "damaged",
    "empty.txt": "empty",
    "mid_MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "no_text_layer",
    "mid_test_mskanji.csv": "unknown_encoding",
    "pdf_encrypted_rc4-40_pw-foo.pdf": "password",
    "pdf_fake-jpg.pdf": "damaged",
    "pdf_fax_image_only.pdf": "no_text_layer",
    "pdf_jbig2_image_only.pdf": "no_text_layer",
    "pdf_non_unicode_cmap.pdf": "unmapped_font",
    "pdf_password_openpassword.pdf": "password",
    "pdf_scan_chinese_image_only.pdf": "no_text_layer",
    "trailing_comma_comment.json": "invalid_json",
    "whitespace_only.md": "empty",
}
READ = {
    "MANIFEST.json": 62,
    "cp949_manual.txt": 1,
    "cpython_iso2022_kr.txt": 1,
    "cpython_johab.txt": 1,
    "cr_only_newlines.txt": 1,
    "html_page.html": 1,
    "huge_single_line.txt": 1,
    "json_top_level_list.json": 29,
    "jsonl_named_json.json": 29,
    "korean_manual_reportlab.pdf": 3,
    "mid_test.json": 1,
    "mixed_encoding.txt": 1,
    "nan_dup_keys.json": 1,
    "nested_lists.json": 1,
    "no_spaces_long_run.txt": 1,
    "nul_bytes.txt": 1,
    "pdf_corrupted.pdf": 1,
    "pdf_evil_recursive_xobjects.pdf": 1,
    "pii_like.txt": 1,
    "ragged_embedded_newlines.csv": 6,
    "semicolon_tab_mixed.csv": 19,
    "tsv_named_csv.csv": 19,
    "utf16be_bom_faq.csv": 93,
    "utf16le_bom_manual.txt": 1,
    "zero_width_and_pua.txt": 1,
    "복사본 - 순환 재고.txt": 1,
    "순환 재고 (1).txt": 1,
    "재고_실사_매뉴얼.txt": 1,
}
"""Documents in each file that has any."""


def loader(path: Path, **options: Any) -> FilesLoader:
    return FilesLoader(FilesOptions(path=str(path), **options), LocalContext(Path()))


def load(name: str, **options: Any) -> list[Document]:
    return list(loader(NASTY, **options).load(NASTY / name))


def outcome(files: FilesLoader, source: Path | str) -> str | int:
    try:
        return len(list(files.load(source)))
    except RecordError as error:
        assert error.detail.endswith(".")
        return error.reason


def test_every_file_of_the_folder_is_read_or_refused_with_its_reason() -> None:
    files = loader(NASTY)
    started = time.perf_counter()
    outcomes = {nfc_path(Path(source)): outcome(files, source) for source in files.sources()}
    assert outcomes == {nfc_path(NASTY / name): expected for name, expected in (REJECTED | READ).items()}
    assert time.perf_counter() - started < 10


def test_files_without_a_reader_are_named_in_one_warning() -> None:
    files = loader(NASTY)
    assert len(list(files.sources())) == len(REJECTED) + len(READ)
    (warning,) = files.context.warnings
    assert warning.startswith(
        "19 files were not read, for the files loader does not know .docx, .hwp, .hwpx, .xls, .xlsx: "
    )


@pytest.mark.parametrize("name", ["utf16le_bom_manual.txt", "cr_only_newlines.txt", "복사본 - 순환 재고.txt"])
def test_text_equals_its_utf_8_twin(name: str) -> None:
    assert load(name)[0].text == TWIN.read_text().strip()


@pytest.mark.parametrize("name", ["cp949_manual.txt", "순환 재고 (1).txt"])
def test_cp949_text_equals_its_utf_8_twin_but_for_what_cp949_lacks(name: str) -> None:
    assert load(name)[0].text == TWIN.read_text().strip().replace("–", "?")


@pytest.mark.parametrize(("name", "characters"), [("zero_width_and_pua.txt", 2_000), ("nul_bytes.txt", 1_500)])
def test_invisible_characters_leave_the_text_of_its_twin(name: str, characters: int) -> None:
    assert load(name)[0].text == TWIN.read_text()[:characters].strip()


def test_mixed_encodings_lose_nothing_and_are_reported() -> None:
    files = loader(NASTY)
    (document,) = files.load(NASTY / "mixed_encoding.txt")
    data = (NASTY / "mixed_encoding.txt").read_bytes()
    assert document.text == clean(data[:1850].decode() + data[1850:].decode("cp949")).strip()
    (warning,) = files.context.warnings
    assert "the first of them is line 18, at byte 1850." in warning


def test_older_korean_encodings_are_read() -> None:
    assert load("cpython_johab.txt")[0].text.startswith("똠방각하 펲시콜라\n\n㉯㉯납!!")
    assert load("cpython_iso2022_kr.txt")[0].text.startswith("◎ 파이썬(Python)은 배우기 쉽고,")


def test_tables_give_the_rows_of_their_utf_8_twin() -> None:
    faq = [row.fields for row in loader(PAGES).load(PAGES / "d365_faq_ko.csv")]
    assert list(faq[0]) == ["질문", "답변", "문서제목", "출처경로"]
    assert [row.fields for row in load("utf16be_bom_faq.csv")] == faq
    assert load("semicolon_tab_mixed.csv")[0].fields == faq[0]
    assert [row.fields for row in load("tsv_named_csv.csv")] == [row.fields for row in load("semicolon_tab_mixed.csv")]


def test_ragged_table_keeps_every_cell() -> None:
    assert [(row.row, row.text) for row in load("ragged_embedded_newlines.csv")] == [
        (1, "질문: 입고란 무엇입니까?\n답변: 물품을 창고로\n들여오는 절차\n분류: 입고"),
        (2, "질문: 피킹 방식은?\n답변: 웨이브\n분류: 클러스터\n존\n피킹\n초과열"),
        (3, '질문: "닫히지 않은 따옴표는?\n답변: 답변이 여기서'),
        (4, "질문: 끝나지 않음\n답변: 출고"),
        (6, "질문: 짧은 행"),
        (7, '질문: 재고 실사?\n답변: "순환" 실사와 "전수" 실사\n분류: 재고'),
    ]


def test_json_records_keep_their_fields() -> None:
    assert list(load("jsonl_named_json.json")[28].fields) == ["question", "answer"]
    assert len(load("json_top_level_list.json")[0].fields["value"]) == 2
    assert len(load("nested_lists.json")[0].fields["faq"]) == 29
    assert load("nan_dup_keys.json")[0].fields == {"질문": "a", "질문 (2)": "b", "값": "NaN"}


def test_html_has_its_charset_from_meta_and_no_script() -> None:
    (document,) = load("html_page.html")
    assert document.title == "입고"
    assert document.text.startswith("로케이션 | A-01\n\n이 문서에서는 창고 관리에서")
    assert "var x" not in document.text


def test_password_opens_the_pdf() -> None:
    assert [page.page for page in load("pdf_password_openpassword.pdf", pdf_password="openpassword")] == [1]
    assert load("pdf_encrypted_rc4-40_pw-foo.pdf", pdf_password="foo")
    with pytest.raises(RecordError, match="password: The option 'pdf_password' does not open the file"):
        load("pdf_password_openpassword.pdf", pdf_password="wrong")


def test_sentences_of_a_hard_wrapped_pdf_are_whole() -> None:
    pages = load("korean_manual_reportlab.pdf")
    assert [page.page for page in pages] == [1, 2, 3]  # the blank last page is left out
    lines = [re.sub(r"\s+", " ", line) for page in pages for line in page.text.split("\n")]
    source = TWIN.read_text().split("\n")
    sentences = [s.strip() for line in source for s in re.split(r"(?<=[.?!])\s+", line) if len(s.strip()) > 8]
    whole = [s for s in sentences if any(re.sub(r"\s+", " ", s) in line for line in lines)]
    assert (len(sentences), len(whole)) == (84, 82)  # 41 of them are whole before lines are joined


def test_huge_line_stays_whole_and_quick() -> None:
    started = time.perf_counter()
    (document,) = load("huge_single_line.txt")
    assert document.text == clean((NASTY / "huge_single_line.txt").read_text()).strip()
    assert len(document.text) > 1_499_000
    assert time.perf_counter() - started < 2


def test_all_real_pages_are_read() -> None:
    files = loader(PAGES, exclude=["MANIFEST.json"])
    documents = [document for source in files.sources() for document in files.load(source)]
    assert len({document.path for document in documents}) == 155
    assert len(documents) == 154 + 93
    assert len({document.id for document in documents}) == len(documents)
    assert files.context.warnings == []
    assert not [document.path for document in documents if document.row is None and not document.title]
