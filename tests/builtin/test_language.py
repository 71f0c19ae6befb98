"""The language filter on Korean with English terms, on leaks and on text decoded wrongly."""

from pathlib import Path

import pytest

from wmsforge.builtin.language import LanguageFilter
from wmsforge.errors import StepError
from wmsforge.records import Question
from wmsforge.testing import LocalContext

STOCK = "재고 정확도는 실사한 로케이션 가운데 전산 수량과 실물 수량이 일치한 비율입니다."

KEPT = [
    STOCK,
    "WMS와 ERP는 5분마다 연동되며 SKU, ASN, GTIN 기준 정보는 ERP가 원본입니다.",
    "오류 코드 E-4012가 뜨면 로케이션 A-01-02-03에서 1,234 EA를 다시 셉니다.",
    "도크투스톡(Dock-to-Stock)은 하차에서 적치 완료까지 걸린 시간입니다.",
    "선입선출(FIFO)과 선만료선출(FEFO) 가운데 하나를 고릅니다.",
    "https://wms.example.com/api/v2/orders?status=ready 주소로 `POST` 요청을 보냅니다.",
    "Microsoft Dynamics 365 Supply Chain Management에서 창고를 설정하고 웨이브를 처리하는 방법입니다.",
    "냉장 구역은 0~5℃, 선반 하중은 500㎏ 이하이고 오차는 ±2%입니다.",
    "바코드 두께는 10μm, 저항은 5Ω 이하로 맞춥니다.",
    "적치(積置)는 입고된 상품을 로케이션에 넣는 일입니다.",
    "배송 中 상태인 주문은 취소할 수 없습니다.",
    "입고ㆍ출고ㆍ반품 이력은 3년 동안 보관합니다.",
    "상품은 ㄱㄴㄷ 순으로 정렬됩니다.",
    "1단계 → 2단계 ✅ 순서로 진행합니다 😊",
    "E-101",
    "정말요??? 재고가 안 맞아요!!",
]

DROPPED = [
    ("foreign_script", "창고の재고를 확인합니다."),
    ("foreign_script", "이 기능은 库存管理 화면에서 설정합니다."),
    ("foreign_script", "在庫管理システムは入荷から出荷まで管理します。"),
    ("foreign_script", "재고는 склад 단위로 관리합니다."),
    ("foreign_script", "입고 검수는 สินค้า 기준으로 합니다."),
    ("foreign_script", "출고 확정은 المستودع 담당자가 합니다."),
    ("wrong_language", "The inbound 재고 is checked by the warehouse manager every morning."),
    ("wrong_language", "WMS is a software solution that 창고 관리를 도와줍니다."),
    ("wrong_language", "A warehouse management system records every movement of goods."),
    ("mojibake", STOCK.encode("utf-8").decode("latin-1")),
    ("mojibake", STOCK.encode("utf-8").decode("cp1252", "ignore")),
    ("mojibake", STOCK.encode("cp949").decode("latin-1")),
    ("mojibake", STOCK.encode("cp949").decode("utf-8", "replace")),
    ("mojibake", STOCK.encode("utf-8").decode("cp949", "ignore")),
    ("mojibake", "재고 占쏙옙占쏙옙 확인합니다."),
    ("mojibake", STOCK.encode("ascii", "replace").decode()),
    ("mojibake", "입고 ㅇㅣㅂㄱㅗ 처리입니다."),
    ("mojibake", "피킹\ue0a3 지시를 내립니다."),
]


def check(text, language="ko", **options):
    context = LocalContext(folder=Path(), language=language)
    return LanguageFilter(LanguageFilter.Options(**options), context).check(Question(id="q", text=text))


@pytest.mark.parametrize("text", KEPT)
def test_korean_with_the_terms_of_the_trade_is_kept(text):
    verdict = check(text)
    assert (verdict.keep, verdict.reason, verdict.detail) == (True, "", "")


@pytest.mark.parametrize(("reason", "text"), DROPPED)
def test_other_languages_leaks_and_mojibake_are_dropped(reason, text):
    verdict = check(text)
    assert (verdict.keep, verdict.reason) == (False, reason)


def test_detail_names_the_number_that_decided():
    assert check("WMS is a tool 재고 관리").detail == "40% of 5 words, at least 50%"
    assert check("이 기능은 库存管理 화면에서 설정합니다.").detail == "4 foreign letters: 库存管理"
    assert check("재고\ufffd\ufffd를 확인합니다.").detail == "the replacement character: '\ufffd\ufffd' at character 2"


def test_thresholds_decide():
    mixed = "Inventory accuracy는 매우 important합니다."
    assert check(mixed, min_share=0.75).keep
    assert not check(mixed, min_share=0.8).keep
    assert check("창고の재고를 확인합니다.", max_foreign_letters=1).keep


def test_english_recipe_wants_english():
    assert check("The dock schedule shows 6 inbound doors.", language="en").keep
    assert check(STOCK, language="en").reason == "foreign_script"


async def test_unknown_language_is_refused_when_opened():
    filter = LanguageFilter(LanguageFilter.Options(), LocalContext(folder=Path(), language="xx"))
    with pytest.raises(StepError) as error:
        await filter.open()
    assert str(error.value) == (
        "Step 'test': filter 'language' was asked to judge 'xx'; it knows ko, en.\n"
        "Leave it out of this recipe, or use a plugin that knows the language."
    )
