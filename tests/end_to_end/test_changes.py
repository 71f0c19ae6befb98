"""What a change costs, in calls that two providers counted."""

from __future__ import annotations

from collections.abc import Callable

import mock_gemini
import mock_openai
import pytest
from project import ROOT, Project, stats

pytest.importorskip("wmsforge_gemini")
pytest.importorskip("wmsforge_openai")

PERSONAS, TOPICS, PER_TOPIC = 5, 3, 2
RECIPE = """\
name: changes
models:
  customer: {use: gemini, model: gemini-3.8-flash, api_key: "${GOOGLE_API_KEY}", base_url: GEMINI_URL}
  expert: {use: openai-compatible, base_url: EXPERT_URL, model: mock}
steps:
  documents: {use: lines, path: manual.txt}
  index: {use: keyword, from: documents}
  questions:
    use: gemini-personas
    model: customer
    personas: personas.yaml
    per_topic: 2
    topics: [재고 실사 일정, 재고 실사 방법, 재고 실사 비용]
  answers: {use: rag, from: questions, retriever: index, model: expert}
  kept: {use: [length], from: answers}
  dataset: {use: messages-json, from: kept, path: out/dataset.json}
"""


def test_a_filter_and_an_exporter_are_free_and_a_persona_pays_for_itself(make_project: Callable[..., Project]) -> None:
    project = make_project(GOOGLE_API_KEY="fake")
    personas = (ROOT / "recipes/personas.yaml").read_text(encoding="utf-8")
    (project.folder / "personas.yaml").write_text(personas, encoding="utf-8")
    with mock_gemini.subprocess_server() as gemini_url, mock_openai.subprocess_server() as expert_url:

        def calls() -> tuple[int, int]:
            return stats(gemini_url)["started"], stats(expert_url)["started"]

        project.write(RECIPE, gemini_url=gemini_url, expert_url=expert_url)
        project.run("run", "recipe.yaml")
        questions, answers = calls()
        assert questions == PERSONAS * TOPICS
        assert answers == PERSONAS * TOPICS * PER_TOPIC == len(project.dataset())

        project.run("run", "recipe.yaml", "--set", "steps.kept.use=[length, language]")
        assert calls() == (questions, answers), "another filter made calls"
        project.run(
            "run", "recipe.yaml", "--set", "steps.dataset.use=jsonl", "--set", "steps.dataset.path=out/data.jsonl"
        )
        assert calls() == (questions, answers), "another exporter made calls"

        changed = personas.replace("[비용, 직원 교육, 기존 시스템 호환]", "[도난, 화재, 보험]")
        assert changed != personas
        (project.folder / "personas.yaml").write_text(changed, encoding="utf-8")
        project.run("run", "recipe.yaml")
        assert calls() == (questions + TOPICS, answers + TOPICS * PER_TOPIC), "others than the changed persona paid"

    rows = project.dataset()
    assert len(rows) == PERSONAS * TOPICS * PER_TOPIC
