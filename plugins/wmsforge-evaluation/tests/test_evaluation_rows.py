"""Held-out rows in every format, and what else they decided."""

import json

import pytest
from wmsforge_evaluation.rows import read_held_out, spread
from wmsforge_evaluation.subject import read_subject

from wmsforge.errors import StepError
from wmsforge.records import Artifact

TURNS = [
    {"role": "system", "content": "규칙"},
    {"role": "user", "content": "입고가 뭔가요?"},
    {"role": "assistant", "content": "물건을 받는 일입니다."},
    {"role": "user", "content": "출고는요?"},
    {"role": "assistant", "content": "내보내는 일입니다."},
]


def written(path, rows):
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    return path


def test_a_conversation_keeps_its_earlier_turns_and_ends_with_an_answer(tmp_path):
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    sharegpt = [{"from": names[turn["role"]], "value": turn["content"]} for turn in TURNS]
    rows = [{"messages": [*TURNS, {"role": "user", "content": "고마워요"}]}, {"conversations": sharegpt}]
    for row in read_held_out(written(tmp_path / "rows.json", rows), "report"):
        assert list(row.messages) == TURNS[:4]
        assert (row.question, row.reference) == ("출고는요?", "내보내는 일입니다.")


def test_a_line_separator_of_a_pdf_in_an_answer_ends_no_row(tmp_path):
    turns = [*TURNS[:4], {"role": "assistant", "content": "위\u2028아래\x85끝"}]
    lines = [json.dumps({"messages": turns, "metadata": None}, ensure_ascii=False)] * 2
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert [row.reference for row in read_held_out(tmp_path / "rows.jsonl", "report")] == [turns[-1]["content"]] * 2


def test_the_input_of_an_alpaca_row_is_part_of_its_question(tmp_path):
    row = {"instruction": "요약하세요.", "input": "긴 글", "output": "짧은 글"}
    (read,) = read_held_out(written(tmp_path / "rows.json", [row]), "report")
    assert (read.question, read.reference) == ("요약하세요.\n\n긴 글", "짧은 글")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "글"}, "row 2: no messages, conversations"),
        ({"messages": TURNS[:2]}, "row 2: no answer of an assist"),
        ({"instruction": "질문", "output": None}, "row 2: a turn of it has no text"),
        ({"messages": TURNS, "metadata": {"sources": ["a.pdf"]}}, "row 2: a source in its metadata has no path"),
        (
            {"messages": TURNS, "metadata": {"sources": [{"path": "a.pdf"}]}},
            "row 2: a source in its metadata has no path",
        ),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path, row, said):
    path = written(tmp_path / "rows.json", [{"messages": TURNS}, row])
    with pytest.raises(StepError, match=said + r"[^\n]*\nName the eval file of a dataset"):
        read_held_out(path, "report")


def test_fewer_rows_are_spread_over_all():
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread(range(3), 4) == [0, 1, 2]


@pytest.mark.parametrize(
    ("training", "own_rows", "chose"),
    [({"best_step": 8}, False, 3), ({"best_step": 8}, True, 1), ({"steps": 8}, False, 0), ({}, False, None)],
)
def test_rows_that_chose_the_checkpoint_are_counted(tmp_path, training, own_rows, chose):
    rows = [{"instruction": f"질문 {n}", "output": "답"} for n in range(5)]
    validation = written(tmp_path / "eval.json", rows[:3])
    apart = written(tmp_path / "test.json", rows[2:]) if own_rows else None
    (tmp_path / "config.json").write_text("{}")
    facts = {"base": "base", "eval_path": str(validation), "training": training}
    model = Artifact(kind="model", path=str(tmp_path), facts=facts)
    assert read_subject(model, None, apart, 200, "report").chose == chose
