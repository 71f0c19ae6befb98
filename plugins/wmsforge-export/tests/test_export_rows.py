"""The rows that a gate asks, as the datasets of wmsforge and a training write them."""

import json

from wmsforge_export.jobs.rows import read_rows


def test_a_line_separator_of_a_pdf_in_an_answer_ends_no_row(tmp_path):
    turns = [{"role": "user", "content": "재고란?"}, {"role": "assistant", "content": "위\u2028아래\x85끝"}]
    line = json.dumps({"messages": turns}, ensure_ascii=False)
    (tmp_path / "rows.jsonl").write_text(f"{line}\n{line}\n", encoding="utf-8")
    assert len(read_rows(tmp_path / "rows.jsonl")) == 2
