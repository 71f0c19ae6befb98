"""Passages are exact spans, never too long, and together hold every word of the document."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wmsforge.records import Document, content_id

pytest.importorskip("kiwipiepy", reason="kiwipiepy is not installed")
pytest.importorskip("llama_index.core", reason="llama-index-core is not installed")
from wmsforge_retrievers.splitter import PassageSplitter, sentence_pieces

Make = Callable[..., Document]

_fragments = st.sampled_from(
    [
        "입고 검수는 2시간 이내에 끝냅니다. ",
        "왜 보류하나요? ",
        "재고가 맞지 않으면 E-4012를 확인해요!",
        "The dock door opens at 6.30 a.m. ",
        "😀📦👍🏽",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "\x00",
        "\u200b",
        "\u2028",
        " ",
        "# 입고\n",
        "## 검수 <a name='x'></a>\n",
        "1. 개요\n",
        "1.1 목적\n",
        "\n\n전제 조건\n\n",
        "| 가 | 나 |\n",
        "```\n# 주석\n```\n",
        "가나다라마바사아자차카타파하" * 9,
        "a" * 130,
        "e\u0301",
    ]
)
_texts = st.lists(_fragments | st.text(max_size=20), max_size=40).map("".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=_texts, chunk_chars=st.sampled_from([50, 120, 500]), overlap=st.sampled_from([0, 20, 25]))
def test_passages_are_exact_short_ordered_and_complete(text: str, chunk_chars: int, overlap: int) -> None:
    document = Document(id="d", text=text, path="p", sha256="")
    passages = list(PassageSplitter(chunk_chars, overlap).split(document))
    covered = set()
    for passage in passages:
        assert passage.text == text[passage.start : passage.end]
        assert 0 < len(passage.text) <= chunk_chars
        assert passage.text == passage.text.strip()
        assert passage.id == content_id("d", passage.start, passage.end)
        covered |= set(range(passage.start, passage.end))
    assert all(text[place].isspace() for place in range(len(text)) if place not in covered)
    starts = [passage.start for passage in passages]
    ends = [passage.end for passage in passages]
    assert starts == sorted(set(starts))
    assert ends == sorted(set(ends))
    assert all(end - start <= overlap for end, start in zip(ends, starts[1:], strict=False))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=_texts)
def test_sentence_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(sentence_pieces(text)) == text


def test_a_long_section_is_cut_between_sentences_and_repeats_the_last_one(document: Make) -> None:
    sentences = [f"{number}번 로케이션의 재고를 세고 전산 수량과 비교합니다." for number in range(30)]
    passages = list(PassageSplitter(200, 60).split(document(" ".join(sentences))))
    assert len(passages) > 5
    for before, after in pairwise(passages):
        assert before.text.endswith("비교합니다.")
        assert before.text.endswith(after.text.split(". ")[0] + ".")


def test_a_run_without_blanks_is_cut_hard(document: Make) -> None:
    passages = list(PassageSplitter(500, 100).split(document("가" * 40_000)))
    assert max(len(passage.text) for passage in passages) <= 500
    assert sum(len(passage.text) for passage in passages) == 40_000


def test_one_endless_line_is_split(document: Make) -> None:
    text = "창고를 관리한다. " * 15_000
    passages = list(PassageSplitter(500, 100).split(document(text)))
    assert passages[-1].end == len(text.rstrip())
    assert all(passage.text.endswith("관리한다.") for passage in passages)


def test_chunks_do_not_cross_sections_and_carry_the_heading_trail(document: Make) -> None:
    text = "# 입고\n\n" + "설명입니다. " * 30 + "\n\n## 검수\n\n전수 검수를 합니다.\n\n# 출고\n\n상차합니다.\n"
    passages = list(PassageSplitter(500, 100).split(document(text)))
    assert [passage.section for passage in passages] == ["입고", "입고 > 검수", "출고"]
    assert passages[1].text == "## 검수\n\n전수 검수를 합니다."


def test_a_heading_without_a_text_of_its_own_joins_its_first_subsection(document: Make) -> None:
    text = (
        "1. 반품 접수\n\n1.1 기준\n7일 이내에 접수합니다.\n\n1.2 순서\n1. 스캔한다\n2. 넣는다\n\n"
        "2. 개요\n\n2.1 끝\n끝냅니다.\n"
    )
    passages = list(PassageSplitter(500, 100).split(document(text)))
    assert [(passage.section, passage.text.splitlines()[0]) for passage in passages] == [
        ("1. 반품 접수 > 1.1 기준", "1. 반품 접수"),
        ("1. 반품 접수 > 1.2 순서", "1.2 순서"),
        ("2. 개요 > 2.1 끝", "2. 개요"),
    ]


def test_short_lines_that_stand_alone_are_headings_of_plain_text(document: Make) -> None:
    body = "재고 거래를 보관하는 방법을 설명합니다.\n" * 5 + "마지막 줄입니다."
    text = f"재고 거래 보관\n\n{body}\n\n전제 조건\n\n- 원장 기간을 마감합니다.\n\n예시\n\n시나리오 1\n\n{body}\n\n끝"
    passages = list(PassageSplitter(500, 100).split(document(text)))
    assert [(passage.section, passage.text.splitlines()[0]) for passage in passages] == [
        ("재고 거래 보관", "재고 거래 보관"),
        ("재고 거래 보관 > 전제 조건", "전제 조건"),
        ("재고 거래 보관 > 시나리오 1", "예시"),
    ]


def test_a_text_of_short_lines_alone_is_not_shredded(document: Make) -> None:
    lines = ["담당자 김 과장", "연락처 내선 301", "자리 2층 창가", "근무 오전조"]
    (passage,) = PassageSplitter(500, 100).split(document("\n\n".join(lines)))
    assert passage.text.splitlines()[::2] == lines


@pytest.mark.parametrize(
    "text",
    [
        "1. 스캔한다\n2. 넣는다\n3. 확정한다",
        "무게는\n2.5 kg 입니다\n1.2 m 이하",
        "```\n# 주석\n## 또 주석\n```",
        "4.2 버전에서 바뀐 것을 설명합니다.",
        "#태그 #입고",
        "\n- 목록 항목\n\n설명입니다.",
        "\n참고:\n\n설명입니다.",
        "\n| 가 | 나 |\n\n설명입니다.",
    ],
)
def test_lists_quantities_code_and_sentences_are_no_headings(text: str, document: Make) -> None:
    (passage,) = PassageSplitter(500, 100).split(document("앞의 줄입니다.\n" + text))
    assert passage.section == ""


def test_closing_signs_and_anchors_are_not_part_of_a_heading(document: Make) -> None:
    (passage,) = PassageSplitter(500, 100).split(document('## <a name="x"></a>C# 연동 ##\n본문입니다.'))
    assert passage.section == "C# 연동"


@pytest.mark.parametrize(
    "text",
    [
        "# " + "#" * 200_000 + "x",
        "# " + "가 " * 200_000,
        "2.5 kg\n" * 50_000,
        "```\n# 코드\n" * 30_000,
        "제목\n\n" * 50_000,
    ],
    ids=["signs", "endless heading", "quantities", "fences", "short lines"],
)
def test_texts_made_to_be_slow_are_split_in_bounded_time(text: str, document: Make) -> None:
    start = time.process_time()
    passages = list(PassageSplitter(500, 100).split(document(text)))
    assert time.process_time() - start < 20
    assert max(len(passage.section) for passage in passages) <= 300


def test_a_table_row_stays_whole(document: Make) -> None:
    (passage,) = PassageSplitter(500, 100).split(
        document("질문: # 무엇?\n# 답: 입고", path="faq.csv", row=3, title="FAQ")
    )
    assert (passage.row, passage.title, passage.section) == (3, "FAQ", "")


def test_a_document_of_blanks_has_no_passage(document: Make) -> None:
    assert list(PassageSplitter(500, 100).split(document(" \n\t\n"))) == []
