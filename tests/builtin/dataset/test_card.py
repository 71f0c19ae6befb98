"""The dataset card."""

from __future__ import annotations

import pytest
import yaml

from wmsforge.builtin.dataset.card import _size, card_path
from wmsforge.builtin.dataset.rows import MessagesRow, columns


def front_matter(path):
    _, front, text = path.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front), text


def test_front_matter_names_files_types_language_and_licence(exporter, make_answer, origin, tmp_path):
    answers = (make_answer(n, f"a.txt#{n}") for n in range(10))
    exporter(eval_share=0.1, license="cc-by-4.0").export(answers, origin)
    front, _ = front_matter(tmp_path / "out" / "README.md")
    assert front == {
        "pretty_name": "wms",
        "language": ["ko"],
        "license": "cc-by-4.0",
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": ["n<1K"],
        "tags": ["synthetic", "wmsforge"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "d.json"}, {"split": "eval", "path": "d.eval.json"}],
            }
        ],
        "dataset_info": {"config_name": "default", "features": columns(MessagesRow)},
    }


def test_card_counts_what_is_in_the_rows(exporter, make_answer, origin, tmp_path, persona):
    answers = [
        make_answer(1, "a.txt#1 b.txt#1", topic="입고|출고", persona=persona, difficulty="expert"),
        make_answer(2, "a.txt#2", topic="피킹", persona=persona),
        make_answer(3, "", cited=(), topic="피킹", origin="gemini-test"),
    ]
    exporter().export(answers, origin)
    _, text = front_matter(tmp_path / "out" / "README.md")
    lines = text.splitlines()
    assert "3 questions and answers made from 2 documents." in lines
    assert "- 1 of 3 rows have no source." in lines
    for line in (
        "| train | `d.json` | 3 |",
        "| questions.csv | 2 |",
        "| gemini-test | 1 |",
        "| expert (test) | 3 |",
        "| 입고\\|출고 | 1 |",
        "| 피킹 | 2 |",
        "| 김영수 (중소 물류센터 관리자) | 2 |",
        "| expert | 1 |",
        "| (none) | 2 |",
    ):
        assert line in lines
    assert "recipe `wms` (fingerprint `0123456789abcdef`), run `run-1`" in text


def test_long_tables_are_summed_up(exporter, make_answer, origin, tmp_path):
    exporter().export((make_answer(n, topic=f"주제 {n:02}") for n in range(32)), origin)
    _, text = front_matter(tmp_path / "out" / "README.md")
    assert "| 주제 29 | 1 |\n| (2 others) | 2 |" in text


def test_readme_of_someone_else_is_left_alone(exporter, make_answer, origin, tmp_path, context):
    readme = tmp_path / "out" / "README.md"
    readme.parent.mkdir()
    readme.write_text("# 우리 프로젝트\n", encoding="utf-8")
    artifact = exporter().export([make_answer(1)], origin)
    assert readme.read_text(encoding="utf-8") == "# 우리 프로젝트\n"
    assert artifact.facts["card"] == (tmp_path / "out" / "d.json.README.md").as_posix()
    assert context.warnings == [
        f"{readme} is not the card of d.json, so it was left alone and the card is {readme.parent}/d.json.README.md. "
        "load_dataset reads README.md only: give each dataset a folder of its own."
    ]


def test_card_of_another_dataset_is_left_alone_until_that_dataset_is_gone(exporter, make_answer, origin, tmp_path):
    exporter().export([make_answer(1)], origin)
    other = tmp_path / "out" / "other.json"
    assert card_path(other).name == "other.json.README.md"
    (tmp_path / "out" / "d.json").rename(other)
    assert card_path(other).name == "README.md"


def test_no_card_when_not_wanted(exporter, make_answer, origin, tmp_path):
    artifact = exporter(card=False).export([make_answer(1)], origin)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["d.json"]
    assert "card" not in artifact.facts


@pytest.mark.parametrize(
    ("rows", "category"),
    [(1, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (99_999, "10K<n<100K"), (9_999_999, "1M<n<10M")],
)
def test_size_category(rows, category):
    assert _size(rows) == category
