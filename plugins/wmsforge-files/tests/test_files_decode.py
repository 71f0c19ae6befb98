"""Encodings are found by themselves, and what cannot be told is refused, not guessed."""

from __future__ import annotations

import pytest
from wmsforge_files.clean import clean
from wmsforge_files.decode import decode

from wmsforge.errors import RecordError

KOREAN = "입고 검수 절차\n수량이 다르면 검수자는 공급처에 알리고, 라벨을 다시 붙입니다. 똠얌 소스는 제외합니다.\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp949", "johab"]
)
def test_korean_text_survives_every_encoding(encoding: str) -> None:
    assert clean(decode(KOREAN.encode(encoding)).text) == KOREAN


def test_iso_2022_kr_is_told_by_its_escape_sequence() -> None:
    assert decode("재고 실사".encode("iso2022_kr")).text == "재고 실사"


@pytest.mark.parametrize("text", ["홍길동", "흰 쌀", "뚜껑 컵 봉투", "볼트,너트", "入庫 절차와 出庫 절차를 說明한다"])
def test_short_or_unusual_korean_in_cp949_is_not_refused(text: str) -> None:
    assert decode(text.encode("cp949")).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("名前,年齢,住所\n佐藤太郎,30,東京\n", "cp932"),
        ("倉庫管理システムは入荷と出荷を管理します。", "euc_jp"),
        ("仓库管理系统管理入库和出库。库存盘点需要准确。", "gb18030"),
        ("Don’t open the dock’s door", "cp1252"),
    ],
)
def test_other_languages_do_not_become_korean_garbage(text: str, encoding: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode(text.encode(encoding))
    assert caught.value.reason == "unknown_encoding"


def test_refusal_names_the_place_and_the_likely_encoding() -> None:
    with pytest.raises(RecordError) as caught:
        decode("name\n髙橋淳,名古屋の倉庫です\n".encode("cp932"))
    assert caught.value.detail == (
        "Byte 5 (line 2) is not UTF-8, and the text does not read as Korean CP949. "
        "It may be cp932: set encoding: cp932, or save the file as UTF-8."
    )


def test_lines_of_two_encodings_are_all_read_and_reported() -> None:
    data = "첫째 줄은 새 프로그램이 적었습니다.\n".encode() + "둘째 줄은 옛 프로그램이 적었습니다.\n".encode("cp949")
    found = decode(data)
    assert found.text == "첫째 줄은 새 프로그램이 적었습니다.\n둘째 줄은 옛 프로그램이 적었습니다.\n"
    assert found.warning.startswith(
        "1 of its 2 lines are CP949 and the others UTF-8; the first of them is line 2, at byte 51."
    )


def test_given_encoding_must_fit() -> None:
    assert decode("東京".encode("cp932"), "cp932").text == "東京"
    with pytest.raises(RecordError, match=r"The text is not utf-8 from byte 4 \(line 2\) on\."):
        decode(b"abc\n" + "입고".encode("cp949"), "utf-8")


def test_declared_encoding_counts_where_neither_utf_8_nor_korean_fits() -> None:
    assert decode("東京".encode("cp932"), declared="shift_jis").text == "東京"
    assert decode("東京".encode(), declared="euc-kr").text == "東京"
    assert decode("뷁".encode("cp949"), declared="EUC-KR").text == "뷁"
    assert decode("입고 검수".encode("cp949"), declared="iso-8859-1").text == "입고 검수"


def test_truncated_utf_16_is_refused() -> None:
    with pytest.raises(RecordError, match=r"The text is not utf-16-le from byte 10 \(line 2\) on"):
        decode("입고\n출고".encode("utf-16")[:-1])


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("한\u1112\u1161\u11ab", "한한"),
        ("가\r\n나\r다\x0b라\u2028마", "가\n나\n다\n라\n마"),
        ("창\xad고\u200b 관\x00리\ufeff\ue000", "창고 관리"),
        ("수량\xa010\u3000EA", "수량 10 EA"),
        ("  \uf0b7 검수\n\uf0a7 적치", "  - 검수\n- 적치"),
        ("깨진 \ud800 쌍", "깨진 \ufffd 쌍"),
    ],
)
def test_clean_leaves_plain_nfc_text(raw: str, plain: str) -> None:
    assert clean(raw) == plain
