"""The exporter `parquet`."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from wmsforge_parquet.exporter import Parquet

from wmsforge.builtin.messages_json import MessagesJson
from wmsforge.records import Answer, Passage, Question, Retrieved, content_id
from wmsforge.steps.exporter import Origin
from wmsforge.testing import LocalContext

ORIGIN = Origin(recipe="wms", fingerprint="0123456789abcdef", run="run-1")


def answer(number: int) -> Answer:
    passages = [
        Passage(id=content_id(number, place), document_id="d", text="본문", start=0, end=2, **place)
        for place in ({"path": "a.txt", "section": f"{number}"}, {"path": "b.pdf", "page": number + 1})
    ]
    return Answer(
        id=content_id(number),
        question=Question(id=content_id("q", number), text=f"질문 {number}은?", topic="입고"),
        text=f"답변 {number}입니다.",
        retrieved=tuple(Retrieved(passage=passage, score=0.5) for passage in passages[: number % 3]),
        model="expert",
        created_at="2026-11-02T03:04:05Z",
    )


def export(component, path, tmp_path, count=25, **options):
    exporter = component(component.Options(path=path, **options), LocalContext(tmp_path / "work"))
    return exporter.export((answer(number) for number in range(count)), ORIGIN)


def test_rows_are_those_of_messages_json(tmp_path):
    artifact = export(Parquet, tmp_path / "p" / "d.parquet", tmp_path, system="전문가입니다.")
    export(MessagesJson, tmp_path / "j" / "d.json", tmp_path, system="전문가입니다.")
    rows = json.loads((tmp_path / "j" / "d.json").read_text(encoding="utf-8"))
    assert pq.read_table(tmp_path / "p" / "d.parquet").to_pylist() == rows
    assert (artifact.facts["rows"], artifact.facts["format"]) == (25, "parquet")


def test_columns_are_typed_even_when_every_value_is_missing(tmp_path):
    path = tmp_path / "d.parquet"
    export(Parquet, path, tmp_path, count=1)  # no passages, no difficulty
    metadata = pq.read_schema(path).field("metadata").type
    sources = metadata.field("sources").type.value_type
    assert str(metadata.field("difficulty").type) == "string"
    assert [str(sources.field(name).type) for name in ("page", "score", "cited")] == ["int64", "double", "bool"]
    assert str(sources.field("span").type.value_type) == "int64"


def test_row_groups_have_the_rows_asked_for(tmp_path):
    path = tmp_path / "d.parquet"
    export(Parquet, path, tmp_path, row_group_rows=10)
    footer = pq.ParquetFile(path).metadata
    assert [footer.row_group(number).num_rows for number in range(footer.num_row_groups)] == [10, 10, 5]


def test_same_answers_give_the_same_bytes(tmp_path):
    for folder in "ab":
        export(Parquet, tmp_path / folder / "d.parquet", tmp_path, eval_share=0.2)
    names = ["README.md", "d.eval.parquet", "d.parquet"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_load_dataset_reads_train_and_eval(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs the package datasets: pip install datasets")
    export(Parquet, tmp_path / "out" / "d.parquet", tmp_path, eval_share=0.2)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 20, "eval": 5}
    for split, file in (("train", "d.parquet"), ("eval", "d.eval.parquet")):
        assert loaded[split].to_list() == pq.read_table(tmp_path / "out" / file).to_pylist()
    assert loaded["train"][0]["metadata"]["created_at"] == "2026-11-02T03:04:05Z"


def test_component_is_imported_without_pyarrow():
    code = "import sys, wmsforge_parquet.exporter; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
