"""A train/eval split keeps document sections and questions apart."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wmsforge.builtin.dataset.split import Assignment, SectionSplit, section_of
from wmsforge.records import Answer, Passage, Question, Retrieved, content_id


def passage(path: str, section: str = "", page: int | None = None, row: int | None = None) -> Passage:
    place = {"path": path, "section": section, "page": page, "row": row}
    return Passage(id=content_id(place), document_id="d", text="글", start=0, end=1, **place)


def answer(number: int, passages: list[Passage], cited: tuple[int, ...] = (), text: str = "") -> Answer:
    return Answer(
        id=content_id(number),
        question=Question(id=content_id("q", number), text=text or f"질문 {number}"),
        text="답",
        retrieved=tuple(Retrieved(passage=one, score=1) for one in passages),
        cited=cited,
    )


def split(answers: list[Answer], share: float, seed: int = 0) -> Assignment:
    splitter = SectionSplit(seed)
    for one in answers:
        splitter.add(one)
    return splitter.assign(share)


def cited_sections(answers: list[Answer]) -> set[tuple[object, ...]]:
    return {
        section_of(one.retrieved[index].passage)
        for one in answers
        for index in (one.cited or range(len(one.retrieved)))
    }


@st.composite
def datasets(draw: st.DrawFn) -> list[Answer]:
    places = st.builds(
        passage,
        path=st.sampled_from(["a.txt", "b.pdf", "c.csv"]),
        section=st.sampled_from(["", "1", "2 > 2.1", "3"]),
        page=st.sampled_from([None, 1, 2]),
        row=st.sampled_from([None, None, 1, 2]),
    )
    answers = []
    for number in range(draw(st.integers(1, 40))):
        retrieved = draw(st.lists(places, max_size=3))
        cited = draw(st.sets(st.integers(0, len(retrieved) - 1))) if retrieved else set()
        text = draw(st.sampled_from([f"질문 {number}", "흔한 질문", "흔한  질문 "]))
        answers.append(answer(number, retrieved, tuple(sorted(cited)), text))
    return answers


@settings(max_examples=100, deadline=None)
@given(datasets(), st.sampled_from([0.1, 0.3, 0.5]), st.integers(0, 5), st.randoms(use_true_random=False))
def test_no_section_and_no_question_is_on_both_sides(answers, share, seed, shuffler):
    assignment = split(answers, share, seed)
    kept_back = [one for number, one in enumerate(answers) if number in assignment.eval_rows]
    train = [one for number, one in enumerate(answers) if number not in assignment.eval_rows]
    assert not cited_sections(kept_back) & cited_sections(train)
    questions = [{" ".join(one.question.text.split()) for one in side} for side in (kept_back, train)]
    assert not questions[0] & questions[1]
    assert train, "eval must never take everything"
    shuffled = answers[:]
    shuffler.shuffle(shuffled)
    again = split(shuffled, share, seed)
    assert {shuffled[number].id for number in again.eval_rows} == {one.id for one in kept_back}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.5])
def test_share_is_reached_when_groups_are_small(share):
    answers = [answer(number, [passage("a.txt", f"{number // 2}")]) for number in range(400)]
    assignment = split(answers, share)
    assert len(assignment.eval_rows) == pytest.approx(share * 400, abs=1)
    assert (assignment.groups, assignment.largest) == (200, 2)


def test_retrieved_passages_that_are_not_cited_join_nothing():
    common = passage("a.txt", "공통")
    answers = [answer(n, [common, passage("a.txt", f"{n}")], cited=(1,)) for n in range(20)]
    assert split(answers, 0.1).groups == 20


def test_answer_that_cites_nothing_counts_as_citing_all():
    common = passage("a.txt", "공통")
    answers = [answer(n, [common, passage("a.txt", f"{n}")]) for n in range(20)]
    assert split(answers, 0.1) == Assignment(frozenset(), 1, 20)


def test_answers_without_passages_stand_alone():
    assert split([answer(n, []) for n in range(10)], 0.2).groups == 10


def test_giant_group_stays_in_train():
    giant = [answer(n, [passage("a.txt", "1")]) for n in range(90)]
    small = [answer(100 + n, [passage("b.txt", f"{n}")]) for n in range(4)]
    assignment = split(giant + small, 0.2)
    assert assignment.eval_rows == frozenset(range(90, 94))
    assert assignment.largest == 90


def test_group_a_little_too_large_is_taken_when_nothing_fits():
    answers = [answer(n, [passage("a.txt", f"{n // 12}")]) for n in range(120)]
    assert len(split(answers, 0.09).eval_rows) == 12


def test_another_seed_chooses_other_rows():
    answers = [answer(n, [passage("a.txt", f"{n}")]) for n in range(100)]
    chosen = {split(answers, 0.1, seed).eval_rows for seed in range(5)}
    assert len(chosen) == 5


def test_new_rows_leave_most_of_the_choice_as_it_was():
    answers = [answer(n, [passage("a.txt", f"{n}")]) for n in range(220)]
    before, after = split(answers[:200], 0.1).eval_rows, split(answers, 0.1).eval_rows
    assert len(before & after) >= 15


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (passage("a.pdf", "1장", page=1), passage("a.pdf", "1장", page=2), True),  # a section over two pages
        (passage("a.pdf", page=1), passage("a.pdf", page=2), False),
        (passage("a.txt"), passage("a.txt"), True),
        (passage("a.txt", "1장"), passage("b.txt", "1장"), False),
        (passage("a.json", "개요", row=1), passage("a.json", "개요", row=2), False),
        (passage("a.json", "개요", row=1), passage("a.json", "상세", row=1), True),
    ],
)
def test_section_of_a_passage(one, other, same):
    assert (section_of(one) == section_of(other)) is same


def test_large_chain_is_joined_without_deep_recursion():
    answers = [answer(n, [passage("a.txt", f"{n}"), passage("a.txt", f"{n + 1}")]) for n in range(20_000)]
    random.Random(1).shuffle(answers)
    assert split(answers, 0.1).groups == 1
