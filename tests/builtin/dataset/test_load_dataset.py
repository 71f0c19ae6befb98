"""`datasets.load_dataset(folder)` reads what the exporters write, card included."""

from __future__ import annotations

import json

import pytest

from wmsforge.builtin.alpaca import Alpaca
from wmsforge.builtin.jsonl import Jsonl
from wmsforge.builtin.messages_json import MessagesJson
from wmsforge.builtin.sharegpt import ShareGpt

datasets = pytest.importorskip("datasets", reason="needs the package datasets: pip install datasets")

FORMATS = [(MessagesJson, "d.json"), (Jsonl, "d.jsonl"), (Alpaca, "d.json"), (ShareGpt, "d.jsonl")]


@pytest.mark.parametrize(("component", "name"), FORMATS)
def test_both_sides_come_back_as_they_were(
    component, name, make_answer, persona, origin, context, tmp_path, monkeypatch
):
    # Pages are null in one part and numbers in the other, so guessing types from the first rows would fail.
    answers = [make_answer(n, f"a.txt#{n} b.txt#{n}", persona=persona, topic="입고") for n in range(9)]
    answers += [make_answer(9, "c.pdf@4", difficulty="expert")]
    seed = next(seed for seed in range(100) if _eval_rows(component, answers, origin, context, tmp_path, seed) == {9})
    folder = tmp_path / str(seed)
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 9, "eval": 1}
    for part, file in (("train", folder / name), ("eval", folder / name.replace("d.", "d.eval."))):
        assert [_exact(row) for row in loaded[part]] == [_exact(row) for row in _rows(file)]
    assert loaded["train"][0]["metadata"]["context_used"] == "a.txt#0의 본문\n\nb.txt#0의 본문"
    assert loaded["train"][0]["metadata"]["persona"] == "김영수 (중소 물류센터 관리자)"
    assert loaded["eval"][0]["metadata"]["sources"][0]["page"] == 4
    assert loaded["eval"].features == loaded["train"].features


def _eval_rows(component, answers, origin, context, tmp_path, seed):
    """Export to a folder named by the seed and return the numbers of the rows in eval."""
    context.seed = seed
    name = dict(FORMATS)[component]
    path = tmp_path / str(seed) / name
    component(component.Options(path=path, eval_share=0.1), context).export(answers, origin)
    ids = [answer.id for answer in answers]
    return {ids.index(row["metadata"]["id"]) for row in _rows(path.with_name(name.replace("d.", "d.eval.")))}


def _rows(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.strip().split("\n")]


def _exact(row):
    """Return the row with its time as the loader writes it: Arrow's JSON reader takes it for a timestamp."""
    time = row["metadata"]["created_at"].replace("T", " ").removesuffix("Z")
    return row | {"metadata": row["metadata"] | {"created_at": time}}
