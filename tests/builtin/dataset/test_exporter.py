"""What every dataset exporter does, shown with messages-json."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from wmsforge.errors import StepError


def questions(path):
    return [row["messages"][0]["content"] for row in json.loads(path.read_text(encoding="utf-8"))]


def test_rows_keep_the_order_of_the_answers(exporter, make_answer, origin, tmp_path):
    artifact = exporter().export((make_answer(n) for n in range(3)), origin)
    path = tmp_path / "out" / "d.json"
    assert questions(path) == [f"질문 {n}은 무엇인가요?" for n in range(3)]
    assert (artifact.kind, artifact.path) == ("dataset", path.as_posix())
    assert artifact.facts == {
        "rows": 3,
        "format": "messages-json",
        "train_rows": 3,
        "card": (tmp_path / "out" / "README.md").as_posix(),
    }


def test_eval_part_lies_beside_and_facts_count_both(exporter, make_answer, origin, tmp_path, context):
    answers = [make_answer(n, f"a.txt#{n // 2}") for n in range(20)]
    artifact = exporter(eval_share=0.2).export(answers, origin)
    beside = tmp_path / "out" / "d.eval.json"
    train, kept_back = questions(tmp_path / "out" / "d.json"), questions(beside)
    assert (len(train), len(kept_back)) == (16, 4)
    assert sorted(train + kept_back) == sorted(one.question.text for one in answers)
    assert artifact.facts == {
        "rows": 20,
        "format": "messages-json",
        "train_rows": 16,
        "eval_rows": 4,
        "eval_path": beside.as_posix(),
        "eval_share": 0.2,
        "groups": 10,
        "largest_group": 2,
        "card": (tmp_path / "out" / "README.md").as_posix(),
    }
    assert context.warnings == []


def test_unreachable_share_is_said_and_an_empty_part_is_not_written(exporter, make_answer, origin, tmp_path, context):
    artifact = exporter(eval_share=0.1).export((make_answer(n, "a.txt#1") for n in range(30)), origin)
    assert artifact.facts["eval_share"] == 0.0
    assert artifact.facts["train_rows"] == 30
    assert "eval_path" not in artifact.facts
    assert not (tmp_path / "out" / "d.eval.json").exists()
    assert context.warnings == [
        "eval_share 0.1 asks for 3 of 30 rows and 0 were reached: rows that cite one document section stay together, "
        "and the largest of the 1 groups has 30 rows. More documents or finer sections make more groups."
    ]


def test_eval_part_of_an_earlier_export_is_pointed_out(exporter, make_answer, origin, tmp_path, context):
    answers = [make_answer(n, f"a.txt#{n}") for n in range(10)]
    exporter(eval_share=0.2).export(answers, origin)
    exporter().export(answers, origin)
    out = tmp_path / "out"
    assert context.warnings == [
        f"{out / 'd.eval.json'} is of an earlier export, and its rows are in {out / 'd.json'} now. "
        "Delete it before you measure on it."
    ]


def test_same_answers_give_the_same_bytes(exporter, make_answer, origin, tmp_path):
    answers = [make_answer(n, f"a.txt#{n} b.txt#{n % 3}") for n in range(30)]
    exporter(eval_share=0.2).export(answers, origin)
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    exporter(eval_share=0.2).export(iter(answers), origin)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first
    assert sorted(first) == ["README.md", "d.eval.json", "d.json"]


def test_no_answers_is_an_error_that_says_where_to_look(exporter, origin, tmp_path):
    with pytest.raises(StepError) as caught:
        exporter().export([], origin)
    assert str(caught.value) == (
        "Step 'dataset' was given no answers, so there is no dataset to write.\n"
        "See what was dropped before it and why: wmsforge peek RECIPE kept --rejected "
        "('kept' being the step its 'from' names)."
    )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("eval_share", [0.0, 0.5])
def test_files_of_an_earlier_export_stand_when_writing_fails(
    exporter, make_answer, origin, tmp_path, eval_share, monkeypatch
):
    answers = [make_answer(n, f"a.txt#{n}") for n in range(4)]
    exporter(eval_share=eval_share).export(answers, origin)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    failing = exporter(eval_share=eval_share)
    write, calls = failing.write, []

    def fail_on_the_last_part(rows, file):
        calls.append(file)
        if len(calls) == len(before) - 1:
            raise OSError("no space left on device")
        write(rows, file)

    monkeypatch.setattr(failing, "write", fail_on_the_last_part)
    with pytest.raises(OSError, match="no space"):
        failing.export(answers[:3], origin)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_path_of_another_format_is_refused(exporter, tmp_path):
    with pytest.raises(ValidationError, match=r"must end in \.json, found 'd\.csv'"):
        type(exporter()).Options(path=tmp_path / "d.csv")


def test_share_above_half_is_refused(exporter):
    with pytest.raises(ValidationError, match=r"less than or equal to 0\.5"):
        exporter(eval_share=0.6)
