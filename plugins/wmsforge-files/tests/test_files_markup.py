"""Text, Markdown and HTML come out as their reader sees them."""

from __future__ import annotations

from wmsforge_files.html import html_to_text, read_html
from wmsforge_files.markdown import read_markdown
from wmsforge_files.source import Part, Reader, Source
from wmsforge_files.text import read_text


def read(reader: Reader, text: str, encoding: str = "utf-8") -> Part:
    warnings: list[str] = []
    (part,) = reader(Source(text.encode(encoding), warnings.append))
    assert warnings == []
    return part


def test_first_line_that_stands_out_is_the_title_of_a_text() -> None:
    assert read(read_text, "\n반품 처리\n\n반품은 검수 후 격리합니다.\n").title == "반품 처리"
    assert read(read_text, "반품은 검수합니다.\n\n다음 문단").title == ""
    assert read(read_text, "반품\n검수").title == ""
    assert read(read_text, "반품\n이 문서는 반품 처리의 기준을 정합니다.").title == "반품"
    assert read(read_text, "반품").title == ""


def test_front_matter_is_off_and_names_the_title() -> None:
    part = read(read_markdown, '---\ntitle: "재고: 개요"\ntags:\n  - wms\n---\n\n# 재고\n본문\n')
    assert part == Part("# 재고\n본문", title="재고: 개요")
    assert read(read_markdown, "+++\ntitle = '피킹'\n+++\n본문") == Part("본문", title="피킹")


def test_rulers_are_not_front_matter() -> None:
    assert read(read_markdown, "---\n첫 문단은 남습니다.\n---\n둘째").text.startswith("---\n첫 문단은")


def test_heading_is_the_title_without_front_matter() -> None:
    part = read(read_markdown, "```sh\n# 주석\n```\n# <a name='x'></a>출고 마감 #\n## 순서\n")
    assert part.title == "출고 마감"
    assert part.text.endswith("# 출고 마감 #\n## 순서")


def test_markdown_is_shown_without_its_machinery() -> None:
    shown = read(
        read_markdown,
        "<!-- 초안 -->**설정 \\> 창고**에서 [위치 지침](../wh/loc.md)을 *켭니다*.<br>도움말: [포털](https://a.kr/x)\n"
        "![화면](a.png)\n[!include [배너](b.md)]\n5*3*2 상자",
    ).text
    assert shown == "설정 > 창고에서 위치 지침을 켭니다.\n도움말: [포털](https://a.kr/x)\n화면\n\n5*3*2 상자"


def test_code_stays_as_it_is() -> None:
    text = "앞\n\n```xml\n<b>**값**</b> <!-- 주석 -->\n```\n`<b>`와 뒤"
    assert read(read_markdown, text).text == text
    assert read(read_markdown, "# `입고` 표\n**`InventTrans` 표**의 행").text == "# `입고` 표\n`InventTrans` 표의 행"
    assert read(read_markdown, "# `입고` 표").title == "`입고` 표"
    assert read(read_markdown, "<table><tr><td>`a`<td>`b`</table>").text == "`a` | `b`"


def test_html_table_in_markdown_becomes_rows() -> None:
    text = "# 표\n<table><tr><th>구역</th><th>온도</th></tr><tr><td>A</td><td>2도</td></tr></table>\n끝"
    assert read(read_markdown, text).text == "# 표\n\n구역 | 온도\nA | 2도\n\n끝"


def test_html_page_as_its_reader_sees_it() -> None:
    page = """<html><head><title>입고 &amp; 검수</title><script>var x = "<p>몰래</p>";</script></head><body>
    <nav>메뉴 <button>닫기</nav><h1>입고 <b>검</b>수</h1><p>하차
    직후<br>시작</p><ul><li>수량<li>파손</ul><pre>A-01
B-02</pre><footer>저작권</footer></body>"""
    part = read(read_html, page)
    assert part == Part("# 입고 검수\n\n하차 직후\n시작\n\n- 수량\n- 파손\n\nA-01\nB-02", title="입고 & 검수")


def test_sections_of_word_and_empty_title_do_no_harm() -> None:
    part = read(read_html, "<title></title><![if !vml]><h1>출고</h1><![foo]>마감<![endif]>")
    assert part == Part("# 출고\n\n마감", title="출고")


def test_cells_stay_in_their_row_even_unclosed_or_with_paragraphs() -> None:
    table = "<table><tr><th>구분<th>수량<tr><td><p>가</p><p>나</p><td><td>3</table>뒤"
    assert html_to_text(table) == "구분 | 수량\n가 나 |  | 3\n\n뒤"


def test_layout_table_keeps_headings_and_inner_table() -> None:
    page = "<table><tr><td><h2>배치</h2><p>문단</p><table><tr><td>1<td>2</table></td></tr></table>"
    assert html_to_text(page) == "## 배치\n\n문단\n\n1 | 2"


def test_meta_charset_is_believed_and_utf_8_needs_none() -> None:
    page = '<meta http-equiv="Content-Type" content="text/html; charset=shift_jis"><p>東京の倉庫</p>'
    assert read(read_html, page, "cp932").text == "東京の倉庫"
    assert read(read_html, page).text == "東京の倉庫"


def test_open_tags_by_the_thousand_take_linear_time() -> None:
    assert html_to_text("<table>" + "<tr><td>가<td>나" * 20_000).count("가 | 나") == 20_000
    assert html_to_text("<div>" * 50_000 + "끝") == "끝"
    assert html_to_text("<table><tr><td>" * 5_000 + "끝") == "끝"
