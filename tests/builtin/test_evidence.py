"""Evidence: which sentences of which passages bear on a question."""

from __future__ import annotations

from wmsforge.builtin.evidence import Evidence, bigrams, find_evidence
from wmsforge.records import Passage


def passage(text: str, **options: object) -> Passage:
    return Passage(id=text[:9], document_id="d", path="m.md", text=text, start=0, end=len(text), **options)  # type: ignore[arg-type]


COUNTING = passage("순환 실사는 매일 일부 구역을 셉니다. 차이가 나면 다시 셉니다. 반품은 별도 구역에 둡니다.")
RETURNS = passage("반품은 7일 안에 접수합니다. 반품 검수는 두 사람이 합니다.")


def test_the_sentences_that_share_the_questions_words_come_in_the_order_of_the_passage() -> None:
    found = find_evidence("실사에서 차이가 나면 다시 세나요?", [COUNTING], 2)
    assert found == [Evidence(0, ("순환 실사는 매일 일부 구역을 셉니다.", "차이가 나면 다시 셉니다."))]


def test_the_most_promising_passage_comes_first_whatever_its_rank() -> None:
    found = find_evidence("반품 접수와 검수는 어떻게 하나요?", [COUNTING, RETURNS], 1)
    assert [evidence.passage for evidence in found] == [1, 0]
    assert found[1].sentences == ("반품은 별도 구역에 둡니다.",)


def test_a_question_about_a_quantity_prefers_a_sentence_that_states_one() -> None:
    text = passage("반품 접수는 창구에서 합니다. 반품 접수는 7일까지 받습니다.")
    assert find_evidence("반품 접수는 어디에서 하나요?", [text], 1)[0].sentences == ("반품 접수는 창구에서 합니다.",)
    assert find_evidence("반품 접수는 며칠 안에 하나요?", [text], 1)[0].sentences == ("반품 접수는 7일까지 받습니다.",)


def test_headings_speak_for_the_sentences_below_them() -> None:
    plain = passage("두 사람이 확인합니다.")
    headed = passage("한 사람이 확인합니다.", section="입고 > 반품 검수")
    other = passage("출고 검수는 없습니다.")
    texts = [plain, headed, other]
    assert [found.passage for found in find_evidence("입고 검수는 누가 하나요?", texts, 1)] == [2, 1, 0]


def test_tables_headings_and_labels_are_no_evidence() -> None:
    text = passage("## 반품 기한\n| 반품 | 기한 |\n|---|---|\n반품 기한은 7일입니다.")
    assert find_evidence("반품 기한은?", [text], 5) == [Evidence(0, ("반품 기한은 7일입니다.",))]
    row = passage("질문: 반품은 언제까지인가요?\n답변: 반품은 7일 안에 합니다.", row=3)
    assert find_evidence("반품 기한은?", [row], 5) == [Evidence(0, ("반품은 7일 안에 합니다.",))]


def test_a_passage_without_any_sentence_gives_no_evidence() -> None:
    table = passage("| 코드 | 뜻 |\n|---|---|\n| E1 | 재고 없음 |")
    assert find_evidence("E1은 무슨 뜻인가요?", [table], 2) == []
    assert find_evidence("E1은 무슨 뜻인가요?", [], 2) == []


def test_a_question_that_shares_nothing_takes_what_stands_first() -> None:
    found = find_evidence("xyz?", [RETURNS, COUNTING], 1)
    assert [evidence.passage for evidence in found] == [0, 1]
    assert found[0].sentences == ("반품은 7일 안에 접수합니다.",)


def test_bigrams_see_through_particles_and_keep_numbers_whole() -> None:
    assert bigrams("재고를") & bigrams("재고가") == {"재고"}
    assert bigrams("WMS 1,200 원") == {"wms", "1,200", "원"}
    assert bigrams("!?") == frozenset()
