"""Reading rows one at a time, also from files that are still being written or are damaged."""

import json
from pathlib import Path

import pytest

from wmsforge.cli import rows
from wmsforge.errors import WmsforgeError


def test_parts_are_read_in_order_and_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "part-00001.jsonl.tmp").write_text('{"n": 3}\n{"n": 4', encoding="utf-8")
    (tmp_path / "part-00000.jsonl").write_text('{"n": 1}\n{"n": 2}\n', encoding="utf-8")
    assert [row["n"] for row in rows.store_rows(tmp_path)] == [1, 2, 3]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-00000.jsonl").write_text('{"n": 1}\n{"n"\n', encoding="utf-8")
    with pytest.raises(WmsforgeError, match=r"part-00000\.jsonl cannot be read: line 2: .*\nIt was changed by hand"):
        list(rows.store_rows(tmp_path))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [1, 7, 64, 1 << 20])
def test_a_json_list_is_read_in_chunks_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, chunk: int
) -> None:
    monkeypatch.setattr(rows, "CHUNK_CHARS", chunk)
    expected = [{"n": n, "text": '물류 "[{]}, ' * n, "list": [n, [n]]} for n in range(20)]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(expected, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    assert list(rows.json_list(path)) == expected


@pytest.mark.parametrize("text", ['{"a": 1}', '[{"a": 1}, {"a"', "[{]", "", '[{"a": 1}] more'])
def test_what_is_no_json_list_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(WmsforgeError, match=r"data\.json cannot be read"):
        list(rows.json_list(path))


def test_an_empty_list_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(" [ ]\n", encoding="utf-8")
    assert list(rows.json_list(path)) == []


def test_a_sample_keeps_the_order_and_takes_every_row_alike() -> None:
    assert rows.sample("abcdef", 6, seed=1) == list(enumerate("abcdef", start=1))
    hits = [number for seed in range(3000) for number, _ in rows.sample(range(6), 2, seed)]
    assert all(900 < hits.count(number) < 1100 for number in range(1, 7))
    assert rows.sample(range(100), 5, 3) == sorted(rows.sample(range(100), 5, 3))
