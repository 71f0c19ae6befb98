"""The consultant in a whole run: sample documents, a real model, all filters; the dataset ends with sources."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parents[3] / "recipes"
RECIPE = """
name: solar
language: ko
models:
  expert: {{use: transformers, model: {model}, instruct: false, device: cpu, concurrency: 4}}
steps:
  documents: {{use: files, path: {recipes}/sample/documents}}
  index: {{use: bm25, from: documents}}
  questions: {{use: question-bank, path: {recipes}/questions.csv, limit: 4}}
  answers:
    {{use: solar-rag, from: questions, retriever: index, model: expert, passages: apart, evidence_sentences: 2,
     max_tokens: 80}}
  kept: {{use: [language, length, degenerate, dont-know, grounded, personal-data, near-duplicates], from: answers}}
  dataset: {{use: messages-json, from: kept, path: out/d.json}}
"""


def run(project: Path) -> str:
    command = [sys.executable, "-m", "wmsforge", "run", "recipe.yaml"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_rows_end_with_the_sources_that_they_cite(folder: Path, tmp_path: Path) -> None:
    for needed in ("wmsforge_files", "wmsforge_retrievers", "kiwipiepy"):
        pytest.importorskip(needed)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(model=folder, recipes=RECIPES), encoding="utf-8")
    said = run(tmp_path)
    assert f"{folder} runs on cpu in float32" in said
    rows = json.loads((tmp_path / "out" / "d.json").read_text(encoding="utf-8"))
    assert rows
    for row in rows:
        text, line = row["messages"][-1]["content"].rsplit("\n\n", 1)
        cited = [place for place, source in enumerate(row["metadata"]["sources"], 1) if source["cited"]]
        assert "출처" not in text
        assert line.startswith(f"출처: [{cited[0]}] {Path(row['metadata']['sources'][cited[0] - 1]['path']).name}")
        assert row["metadata"]["num_docs_retrieved"] == 3
    (manifest,) = (
        json.loads(path.read_text()) for path in tmp_path.glob(".wmsforge/solar/steps/answers/manifest.json")
    )
    assert sum(calls["calls"] for calls in manifest["calls"].values()) == 4
    assert "answers started" not in run(tmp_path)
