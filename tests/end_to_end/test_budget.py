"""A budget is a hard stop: calls in flight cannot exceed it, and a higher one goes on without repeating a call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mock_openai import subprocess_server
from project import Project, stats

pytestmark = pytest.mark.slow

QUESTIONS = 1_500
RECIPE = """\
name: budget
budget: {usd: 1.00}
models:
  expert:
    use: openai-compatible
    base_url: BASE_URL
    model: mock
    concurrency: 32
    price: {input: 2.5, output: 8.0}
steps:
  documents: {use: lines, path: manual.txt}
  index: {use: keyword, from: documents}
  questions: {use: question-bank, path: questions.csv}
  answers: {use: rag, from: questions, retriever: index, model: expert, max_tokens: 300}
  dataset: {use: messages-json, from: answers, path: out/dataset.json}
"""


def spent(project: Project) -> float:
    """Return the USD of every request that the ledger has, be it stored, failed or in doubt."""
    return sum(
        project.ledger(f"SELECT coalesce(sum(cost_usd), 0) FROM {table}")[0][0] for table in ("calls", "attempts")
    )


def test_one_dollar_stops_at_or_under_one_dollar_and_two_go_on(make_project: Callable[..., Project]) -> None:
    project = make_project()
    rows = [
        f"{number % 60}번 센터의 재고 실사 업무는 언제 점검하나요? {number}번째 문의입니다."
        for number in range(QUESTIONS)
    ]
    (project.folder / "questions.csv").write_text("\n".join(["question", *rows]), encoding="utf-8")
    with subprocess_server("--latency", "0.05") as base_url:
        project.write(RECIPE, base_url=base_url)
        said = project.run("run", "recipe.yaml", code=5)
        first = stats(base_url)
        cost, calls = spent(project), project.ledger("SELECT count(*) FROM calls")[0][0]
        assert 0.0005 < cost / calls < 0.002, "the test is about calls of about 0.001 USD"
        assert 0.98 < cost <= 1.00
        assert first["started"] == calls == first["unique"], "calls in flight were thrown away"
        assert "budget" in said and "--set budget.usd=2" in said

        said = project.run("run", "recipe.yaml", code=5)
        assert stats(base_url)["started"] == calls, "the same budget pays for nothing more"

        project.run("run", "recipe.yaml", "--set", "budget.usd=2")
        last = stats(base_url)
        assert last["started"] == last["unique"] == QUESTIONS
        assert 1.00 < spent(project) <= 2.00
    assert len(project.dataset()) == QUESTIONS
