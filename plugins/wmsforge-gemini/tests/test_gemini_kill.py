"""A real run with a batch job, killed with kill -9 while it waits: the next one creates no second job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mock_gemini import subprocess_server

RECIPE = """\
name: batched
models:
  customer:
    use: gemini
    model: gemini-3.8-flash
    api_key: ${{GEMINI_TEST_KEY}}
    base_url: {base_url}
    batch: true
    batch_quiet_s: 0.3
    batch_poll_s: 0.2
steps:
  questions:
    use: gemini-personas
    model: customer
    personas: personas.yaml
    topics: [입고 처리, 피킹 작업, 재고 실사]
"""
PERSONAS = """\
personas:
  - {name: 김영수, role: 중소 물류센터 관리자, concerns: [비용]}
  - {name: 박지현, role: 이커머스 물류 책임자, concerns: [처리 속도]}
"""
KEY = "AIza-secret-of-the-test"


def project(folder: Path, base_url: str) -> Path:
    (folder / "recipe.yaml").write_text(RECIPE.format(base_url=base_url), encoding="utf-8")
    (folder / "personas.yaml").write_text(PERSONAS, encoding="utf-8")
    return folder


def start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log.txt").open("ab") as log:
        command = [sys.executable, "-m", "wmsforge", "run", "recipe.yaml"]
        environment = {**os.environ, "GEMINI_TEST_KEY": KEY}
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def stats(base_url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{base_url}/stats", timeout=10) as response:
        found: dict[str, Any] = json.load(response)
    return found


def until(condition: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, (folder / "log.txt").read_text(encoding="utf-8")
        time.sleep(0.05)


def jobs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (folder / ".wmsforge").rglob("batches/*.json")]


def questions(folder: Path) -> list[str]:
    parts = (folder / ".wmsforge").rglob("part-*.jsonl")
    return [line for part in parts for line in part.read_text(encoding="utf-8").splitlines()]


def test_kill_9_in_a_batch_poll_resumes_without_a_second_job_and_counts_once(tmp_path):
    with subprocess_server("--batch", "8") as base_url:
        folder = project(tmp_path, base_url)
        process = start(folder)
        until(lambda: any(job["name"] for job in jobs(folder)), folder)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert [len(job["keys"]) for job in jobs(folder)] == [6]
        assert start(folder).wait() == 0, (folder / "log.txt").read_text(encoding="utf-8")
        told = stats(base_url)
    assert len(told["jobs"]) == 1 and told["started"] == 6 and told["repeated"] == {}
    assert len(questions(folder)) == 12
    assert jobs(folder) == []
    status = subprocess.run(
        [sys.executable, "-m", "wmsforge", "status", "recipe.yaml", "--json"],
        cwd=folder,
        env={**os.environ, "GEMINI_TEST_KEY": KEY},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (paid,) = json.loads(status)["recipes"][0]["paid"].values()
    assert (paid["calls"], paid["attempts"], paid["uncertain_usd"]) == (6, 0, 0)
    assert KEY not in status + (folder / "log.txt").read_text(encoding="utf-8")
    for path in (folder / ".wmsforge").rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
