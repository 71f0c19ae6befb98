"""kill -9 at random moments: nothing is lost, nothing stored is asked for again, the dataset is the same bytes."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mock_openai import subprocess_server

pytestmark = pytest.mark.slow

KILLS = 20
QUESTIONS = 1800
CONCURRENCY = 16
LATENCY_S = 0.25

RECIPE = """\
name: killed
models:
  expert: {{use: openai-compatible, base_url: "{base_url}", model: mock, concurrency: {concurrency}}}
steps:
  documents: {{use: lines, path: manual.txt}}
  index: {{use: keyword, from: documents}}
  questions: {{use: question-bank, path: questions.csv}}
  answers: {{use: rag, from: questions, retriever: index, model: expert}}
  kept: {{use: length, from: answers}}
  dataset: {{use: messages-json, from: kept, path: out/dataset.json}}
"""


def project(folder: Path, base_url: str) -> Path:
    folder.mkdir()
    (folder / "recipe.yaml").write_text(RECIPE.format(base_url=base_url, concurrency=CONCURRENCY), encoding="utf-8")
    lines = [f"{number}번 로케이션의 재고 실사는 매월 {number % 28 + 1}일에 합니다." for number in range(60)]
    (folder / "manual.txt").write_text("\n".join(lines), encoding="utf-8")
    rows = [
        f"{number % 60}번 로케이션의 재고 실사를 {number}번째로 묻습니다. 언제 하나요?" for number in range(QUESTIONS)
    ]
    (folder / "questions.csv").write_text("\n".join(["question", *rows]), encoding="utf-8")
    return folder


def start(folder: Path, plugin: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(plugin)}
    command = [sys.executable, "-m", "wmsforge", "run", "recipe.yaml"]
    log = (folder / "log.txt").open("ab")
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def stats(base_url: str) -> dict[str, object]:
    with urllib.request.urlopen(base_url.removesuffix("/v1") + "/stats", timeout=10) as response:
        found: dict[str, object] = json.load(response)
    return found


def stored_calls(folder: Path) -> set[bytes]:
    path = folder / ".wmsforge" / "ledger.sqlite"
    if not path.exists():
        return set()
    with sqlite3.connect(path) as database:
        return {key for (key,) in database.execute("SELECT key FROM calls")}


def without_times(dataset: Path) -> bytes:
    """Return the dataset's bytes with the times, and the run's id which is one, taken out."""
    return re.sub(rb'"(created_at|run_id|run)": "[^"]*"', b'"when": ""', dataset.read_bytes())


def test_twenty_kills_lose_nothing_and_pay_nothing_twice(tmp_path: Path, fixture_plugin_path: Path) -> None:
    with subprocess_server() as base_url:
        calm = project(tmp_path / "calm", base_url)
        assert start(calm, fixture_plugin_path).wait() == 0, (calm / "log.txt").read_text(encoding="utf-8")
        assert stats(base_url)["started"] == QUESTIONS

    moments = random.Random(20)
    with subprocess_server("--latency", str(LATENCY_S)) as base_url:
        killed = project(tmp_path / "killed", base_url)
        in_flight_at_kills = 0
        stored: set[bytes] = set()
        kills_with_calls_in_flight = 0
        for _ in range(KILLS):
            process = start(killed, fixture_plugin_path)
            time.sleep(moments.uniform(0.1, 2.5))
            assert process.poll() is None, "the run ended before it could be killed: raise QUESTIONS"
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            now_stored = stored_calls(killed)
            assert stored <= now_stored, "a stored call is gone"
            stored = now_stored
            started = stats(base_url)["started"]
            assert isinstance(started, int)
            lost = started - len(stored) - in_flight_at_kills
            assert 0 <= lost <= CONCURRENCY, "more calls were lost than were in flight"
            in_flight_at_kills += lost
            kills_with_calls_in_flight += lost > 0
        assert kills_with_calls_in_flight >= 5, "the kills missed the calls: the test shows nothing"
        assert start(killed, fixture_plugin_path).wait() == 0, (killed / "log.txt").read_text(encoding="utf-8")
        assert stats(base_url)["started"] == QUESTIONS + in_flight_at_kills

    assert len(stored_calls(killed)) == QUESTIONS
    assert without_times(killed / "out/dataset.json") == without_times(calm / "out/dataset.json")
