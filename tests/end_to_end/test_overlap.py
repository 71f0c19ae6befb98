"""Questions and answers overlap: a run takes about its slower step alone, not the sum of both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import mock_gemini
import mock_openai
import pytest
from project import Project, stats

pytestmark = pytest.mark.slow

PERSONAS, TOPICS = 20, 20
ROWS = PERSONAS * TOPICS
CONCURRENCY = 8
LATENCY_S = 0.5
IDEAL_S = ROWS * LATENCY_S / CONCURRENCY

RECIPE = """\
name: overlap
models:
  customer:
    use: gemini
    model: gemini-3.8-flash
    api_key: ${GOOGLE_API_KEY}
    base_url: GEMINI_URL
    concurrency: CONCURRENCY
  expert: {use: openai-compatible, base_url: EXPERT_URL, model: mock, concurrency: CONCURRENCY}
steps:
  documents: {use: lines, path: manual.txt}
  index: {use: keyword, from: documents}
  questions: {use: gemini-personas, model: customer, personas: personas.yaml, per_topic: 1, topics: TOPIC_LIST}
  answers: {use: rag, from: questions, retriever: index, model: expert}
  dataset: {use: messages-json, from: answers, path: out/dataset.json}
"""


def test_two_steps_of_the_same_length_take_little_more_than_one(make_project: Callable[..., Project]) -> None:
    project = make_project(GOOGLE_API_KEY="fake")
    people = [f"  - {{name: 담당자 {number}, role: 물류 담당, background: 창고 운영, concerns: [비용], "
              "question_style: 직설적}" for number in range(PERSONAS)]  # fmt: skip
    (project.folder / "personas.yaml").write_text("\n".join(["personas:", *people]) + "\n", encoding="utf-8")
    topics = json.dumps([f"재고 실사 {number}" for number in range(TOPICS)], ensure_ascii=False)
    latency = ("--latency", str(LATENCY_S))
    with mock_gemini.subprocess_server(*latency) as gemini_url, mock_openai.subprocess_server(*latency) as expert_url:
        project.write(RECIPE, gemini_url=gemini_url, expert_url=expert_url, concurrency=CONCURRENCY, topic_list=topics)
        alone_s = seconds_of(project, "--until", "questions", "--workspace", "alone")
        assert stats(gemini_url)["started"] == ROWS
        both_s = seconds_of(project)
        assert stats(gemini_url)["started"] == 2 * stats(expert_url)["started"] == 2 * ROWS
    print(f"\nquestions alone {alone_s:.1f} s, with answers {both_s:.1f} s, ratio {both_s / alone_s:.3f}")
    assert len(project.dataset()) == ROWS
    assert alone_s >= IDEAL_S
    assert both_s <= 1.15 * alone_s


def seconds_of(project: Project, *options: str) -> float:
    start = time.monotonic()
    project.run("run", "recipe.yaml", *options)
    return time.monotonic() - start
