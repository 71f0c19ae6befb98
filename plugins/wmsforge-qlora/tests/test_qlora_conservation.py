"""Every row is trained on, held out, or listed with its reason; over the limit nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import ReportDouble, conversation, job, require

from wmsforge.env.worker import JobError


def write(path: Path, conversations: list[Any]) -> Path:
    path.write_text(json.dumps([{"messages": turns} for turns in conversations], ensure_ascii=False), encoding="utf-8")
    return path


def long(number: int) -> list[dict[str, str]]:
    question, answer = conversation(number)
    return [question, {**answer, "content": answer["content"] * 30}]


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Ten rows: six to train on, three (30 %) too long, one without an answer."""
    silent = [conversation(9)[0], {"role": "assistant", "content": "  "}]
    return write(tmp_path / "mixed.json", [*map(conversation, range(6)), *map(long, range(6, 9)), silent])


def prepared(data: dict[str, Any], report: ReportDouble) -> Any:
    """Read and tokenize the rows of a job, as a training does first."""
    require()
    from wmsforge_qlora.jobs.model import load_config, load_tokenizer
    from wmsforge_qlora.jobs.settings import Job
    from wmsforge_qlora.jobs.template import choose
    from wmsforge_qlora.jobs.training import _rows

    work = Job.of(data)
    tokenizer = load_tokenizer(work)
    choose(work, tokenizer, load_config(work).model_type)
    return _rows(work, tokenizer, report)


def listed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "not_trained.jsonl").read_text(encoding="utf-8").splitlines()]


def test_too_many_long_rows_fail_the_step_before_training_with_the_list(
    tmp_path: Path, mixed: Path, tiny: Path, report: ReportDouble
) -> None:
    from wmsforge_qlora.jobs.train import train

    folder = tmp_path / "out"
    with pytest.raises(JobError) as raised:
        train(job(folder, mixed, tiny, rejected_share=0.05, eval_share=0.0), report)
    lines = str(raised.value).splitlines()
    assert lines[0].startswith(
        "Step 'tuned': 4 of 10 rows (40.0%) cannot be trained on: too_long 3, empty_after_template 1; the limit is 5.0%"
    )
    rows = listed(folder)
    longest = 256 + max(row["over_tokens"] for row in rows)
    assert lines[1] == (
        f"See all: {folder / 'not_trained.jsonl'}. Make room: --set steps.tuned.max_length={longest}. "
        "Cut them: --set steps.tuned.truncate=true. Do without them: --set steps.tuned.rejected_share=0.4."
    )
    assert lines[2].startswith("  mixed.json, row 7: too_long: ")
    assert [(row["row"], row["reason"]) for row in rows] == [
        (7, "too_long"),
        (8, "too_long"),
        (9, "too_long"),
        (10, "empty_after_template"),
    ]
    assert not report.steps
    assert not (folder / "checkpoints").exists()


def test_the_room_that_the_error_asks_for_is_enough(
    tmp_path: Path, mixed: Path, tiny: Path, report: ReportDouble
) -> None:
    with pytest.raises(JobError) as raised:
        prepared(job(tmp_path / "a", mixed, tiny, rejected_share=0.2, eval_share=0.0), report)
    asked = int(str(raised.value).partition("max_length=")[2].partition(".")[0])
    settings = {"rejected_share": 0.4, "eval_share": 0.0}
    assert len(prepared(job(tmp_path / "b", mixed, tiny, max_length=asked, **settings), report).train) == 9
    less = prepared(job(tmp_path / "c", mixed, tiny, max_length=asked - 1, **settings), report)
    assert [row.over_tokens for row in less.left_out if row.reason == "too_long"] == [1, 1, 1]


def test_truncate_trains_on_the_rest_and_tells_the_tokens_that_were_cut(
    tmp_path: Path, mixed: Path, tiny: Path, report: ReportDouble
) -> None:
    found = prepared(job(tmp_path / "out", mixed, tiny, rejected_share=0.1, eval_share=0.0, truncate=True), report)
    without = prepared(
        job(tmp_path / "whole", mixed, tiny, rejected_share=0.1, eval_share=0.0, max_length=5000), report
    )
    cut = sum(len(row.input_ids) for row in without.train) - sum(len(row.input_ids) for row in found.train)
    assert (found.cut_rows, found.cut_tokens) == (3, cut)
    assert cut > 0
    assert f"truncate: {cut:,} tokens of 3 rows are cut at 256" in report.notes
    assert max(len(row.input_ids) for row in found.train) == 256


def test_a_row_whose_answer_lies_behind_the_cut_is_listed(tmp_path: Path, tiny: Path, report: ReportDouble) -> None:
    question, answer = conversation(1)
    rows = write(tmp_path / "rows.json", [conversation(0), [{**question, "content": question["content"] * 80}, answer]])
    found = prepared(job(tmp_path / "out", rows, tiny, rejected_share=0.5, eval_share=0.0, truncate=True), report)
    assert len(found.train) == 1
    (row,) = listed(tmp_path / "out")
    assert (row["row"], row["reason"], row["detail"]) == (
        2,
        "empty_after_template",
        "no token of an answer is left within 256 tokens",
    )
    assert report.warnings[0].startswith("1 of 2 rows (50.0%) cannot be trained on: empty_after_template 1. They are")


def test_a_row_that_the_template_refuses_is_listed(tmp_path: Path, tiny: Path, report: ReportDouble) -> None:
    template = tmp_path / "strict.jinja"
    template.write_text(
        "{% for message in messages %}"
        "{% if message.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        "{{ message.role ~ ': ' ~ message.content }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    rows = write(tmp_path / "rows.json", [conversation(0), [{"role": "system", "content": "x"}, *conversation(1)]])
    settings = {"rejected_share": 0.5, "eval_share": 0.0, "chat_template": str(template)}
    assert len(prepared(job(tmp_path / "out", rows, tiny, **settings), report).train) == 1
    assert [(row["reason"], row["detail"]) for row in listed(tmp_path / "out")] == [
        ("template_refused", "no system turn")
    ]


def test_rows_held_out_are_counted_and_written_for_others_to_measure_on(
    tmp_path: Path, rows: Path, tiny: Path, report: ReportDouble
) -> None:
    found = prepared(job(tmp_path / "out", rows, tiny), report)
    assert (len(found.train), len(found.held_out)) == (34, 8)
    kept = [json.loads(line) for line in (tmp_path / "out" / "held_out.jsonl").read_text(encoding="utf-8").splitlines()]
    everything = [row["messages"] for row in json.loads(rows.read_text(encoding="utf-8"))]
    assert len(kept) == 8
    assert all(row["messages"] in everything for row in kept)


def test_held_out_rows_keep_what_they_say_about_themselves(
    tmp_path: Path, rows: Path, tiny: Path, report: ReportDouble
) -> None:
    metadata = {"sources": [{"path": "manual.txt", "span": [3, 9], "cited": True}]}
    split = tmp_path / "own.eval.json"
    split.write_text(json.dumps([{"messages": conversation(50), "metadata": metadata}]), encoding="utf-8")
    prepared(job(tmp_path / "out", rows, tiny, eval_rows=str(split)), report)
    (kept,) = (tmp_path / "out" / "held_out.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(kept)["metadata"] == metadata


def test_the_datasets_own_eval_split_is_taken(tmp_path: Path, rows: Path, tiny: Path, report: ReportDouble) -> None:
    split = write(tmp_path / "own.eval.json", [conversation(50), conversation(51)])
    found = prepared(job(tmp_path / "out", rows, tiny, eval_rows=str(split)), report)
    assert (len(found.train), len(found.held_out)) == (42, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.json", [{"conversations": [{"from": "human", "value": "질문"}, {"from": "gpt", "value": "답"}]}]),
        ("a.json", [{"instruction": "질문", "input": "", "output": "답", "metadata": {}}]),
        ("m.jsonl", [{"messages": [{"role": "user", "content": "질문"}, {"role": "assistant", "content": "답"}]}]),
    ],
)
def test_rows_of_every_format_are_read(tmp_path: Path, name: str, content: list[Any]) -> None:
    from wmsforge_qlora.jobs.rows import read_rows

    text = json.dumps(content) if name.endswith(".json") else "".join(json.dumps(row) + "\n" for row in content)
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_rows(tmp_path / name)[0].messages == [
        {"role": "user", "content": "질문"},
        {"role": "assistant", "content": "답"},
    ]


def test_a_file_of_something_else_is_an_error_with_the_row(tmp_path: Path) -> None:
    from wmsforge_qlora.jobs.rows import read_rows

    path = tmp_path / "other.jsonl"
    path.write_text('{"text": "x"}\n', encoding="utf-8")
    with pytest.raises(JobError, match=r"other\.jsonl, row 1: there are no messages.*\nTrain on a step that writes"):
        read_rows(path)
