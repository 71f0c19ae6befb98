"""What a change to the recipe pays for, counted by the server: only for what is new."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from mock_gemini import subprocess_server

RECIPE = """\
name: changing
models:
  customer: {{use: gemini, model: gemini-3.8-flash, api_key: "${{GEMINI_TEST_KEY}}", base_url: "{base_url}"}}
steps:
  questions:
    use: gemini-personas
    model: customer
    personas: personas.yaml
    topics: [입고 처리, 피킹 작업, 재고 실사]
  kept: {{use: language, from: questions}}
"""
PERSONAS = """\
personas:
  - {name: 김영수, role: 중소 물류센터 관리자, concerns: [비용]}
  - {name: 박지현, role: 이커머스 물류 책임자, concerns: [처리 속도]}
  - {name: 이민호, role: 3PL 업체 운영팀장, concerns: [유연성]}
"""


def run(folder: Path, base_url: str, *arguments: str) -> int:
    """Run the recipe; return how many requests the server had seen by then."""
    command = [sys.executable, "-m", "wmsforge", "run", "recipe.yaml", *arguments]
    environment = {**os.environ, "GEMINI_TEST_KEY": "AIza-secret"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with urllib.request.urlopen(f"{base_url}/stats", timeout=10) as response:
        return int(json.load(response)["started"])


def test_a_change_pays_for_what_it_touches_alone(tmp_path):
    with subprocess_server() as base_url:
        recipe, personas = tmp_path / "recipe.yaml", tmp_path / "personas.yaml"
        recipe.write_text(RECIPE.format(base_url=base_url), encoding="utf-8")
        personas.write_text(PERSONAS, encoding="utf-8")
        assert run(tmp_path, base_url) == 9
        assert run(tmp_path, base_url) == 9
        personas.write_text(PERSONAS.replace("처리 속도", "오류율"), encoding="utf-8")
        assert run(tmp_path, base_url) == 9 + 3  # one persona, three topics
        recipe.write_text(RECIPE.format(base_url=base_url).replace("재고 실사", "재고 실사, 반품 처리"), "utf-8")
        assert run(tmp_path, base_url) == 12 + 3  # one topic, three personas
        recipe.write_text(recipe.read_text("utf-8").replace("use: language", "use: [language, length]"), "utf-8")
        assert run(tmp_path, base_url) == 15
        cheaper = ("--set", "models.customer.service_tier=flex", "--set", "models.customer.concurrency=2")
        assert run(tmp_path, base_url, *cheaper) == 15
