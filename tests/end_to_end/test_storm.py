"""A storm of rate limits, errors, hangs and broken answers, and five kills in it: nothing lost, nothing paid twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from ideal import Attempt, ideal_wall_s
from mock_gemini import subprocess_server
from project import Project, stats

pytestmark = pytest.mark.slow

PERSONAS, TOPICS = 40, 50
CALLS = PERSONAS * TOPICS
CONCURRENCY = 64
LATENCY_S = 3.0
TIMEOUT_S = 10.0
KILLS = 5
STORM = ("rate_limit=0.20", "server_error=0.05", "hang=0.02", "malformed=0.03")

RECIPE = """\
name: storm
models:
  customer:
    use: gemini
    model: gemini-3.8-flash
    api_key: ${GOOGLE_API_KEY}
    base_url: BASE_URL
    concurrency: CONCURRENCY
    timeout_s: TIMEOUT_S
    price: {input: 0.75, output: 3.75}
steps:
  questions:
    use: gemini-personas
    model: customer
    personas: personas.yaml
    topics: TOPIC_LIST
    per_topic: 1
"""


def write_personas(folder: Path) -> None:
    people = [
        f"  - {{name: 담당자 {number}, role: 물류 담당, background: 창고 {number}곳 운영, concerns: [비용], "
        f"question_style: 직설적}}"
        for number in range(PERSONAS)
    ]
    (folder / "personas.yaml").write_text("\n".join(["personas:", *people]) + "\n", encoding="utf-8")


def kill_now_and_then(project: Project, base_url: str) -> tuple[float, int]:
    """Run to the end with kills on the way; return the wall seconds and the calls that were in flight at the kills."""
    moments = random.Random(5)
    in_flight = 0
    start = time.monotonic()
    for kill in range(1, KILLS + 1):
        process = project.start("run", "recipe.yaml")
        wait_for_calls(process, base_url, kill * CALLS // (KILLS + 1) + moments.randrange(-100, 100))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.1)  # the server sees the connections close
        in_flight += CONCURRENCY
    assert project.start("run", "recipe.yaml").wait(timeout=600) == 0, project.log()
    return time.monotonic() - start, in_flight


def wait_for_calls(process: subprocess.Popen[bytes], base_url: str, served: int) -> None:
    while stats(base_url)["served"] < served:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.1)


def schedule(log: Iterable[str]) -> list[list[Attempt]]:
    """Return what each call met, try by try, as the server saw it; what a kill cut off is left out."""
    began: dict[str, float] = {}
    calls: dict[str, list[Attempt]] = defaultdict(list)
    for line in log:
        event = json.loads(line)
        key = event["hash"]
        if event["event"] == "started":
            began[key] = event["time"]
            continue
        seconds = event["time"] - began.pop(key)
        if event["event"] == "finished" or (event["outcome"] == "hang" and seconds > TIMEOUT_S - 0.5):
            calls[key].append(Attempt(seconds, event.get("hint_s") or 0.0))
    return list(calls.values())


def test_two_thousand_calls_in_a_storm_with_five_kills(make_project: Callable[..., Project], tmp_path: Path) -> None:
    project = make_project(GOOGLE_API_KEY="a-key-of-the-storm")
    write_personas(project.folder)
    log = tmp_path / "server.jsonl"
    faults = [argument for fault in STORM for argument in ("--fault", fault)]
    server = ("--latency", str(LATENCY_S), "--hint", "0.5", "3", "--faults-per-request", "99", "--log", str(log))
    with subprocess_server(*server, *faults) as base_url:
        topics = json.dumps([f"주제 {number}" for number in range(TOPICS)], ensure_ascii=False)
        project.write(RECIPE, base_url=base_url, topic_list=topics, concurrency=CONCURRENCY, timeout_s=TIMEOUT_S)
        wall_s, in_flight = kill_now_and_then(project, base_url)
        seen = stats(base_url)
    print(f"\n{seen['started']:,} requests for {CALLS:,} calls, outcomes {seen['outcomes']}, {wall_s:.1f} s")

    questions, rejected = project.store("storm", "questions")
    manifest = json.loads((project.folder / ".wmsforge/storm/steps/questions/manifest.json").read_text("utf-8"))
    assert manifest["counts"]["read"] == CALLS == len(questions) + manifest["counts"]["failed"]
    assert len(rejected) == manifest["counts"]["failed"] < 0.01 * CALLS
    assert {one["reason"] for one in rejected} <= {
        "rate_limit", "server_error", "timeout", "malformed_json", "schema_mismatch",
    }  # fmt: skip

    assert seen["early"] == [], "a call came again before the server's hint was over"
    assert seen["unique"] == CALLS
    again = sum(count - 1 for count in seen["repeated"].values())
    assert again <= in_flight, "more was paid twice than was in flight at the kills"
    stored = project.ledger("SELECT count(*) FROM calls")[0][0]
    assert stored + again >= seen["outcomes"]["ok"], "an answer that came was not stored"
    assert "a-key-of-the-storm" not in project.log()

    with log.open(encoding="utf-8") as lines:
        best_s = ideal_wall_s(schedule(lines), places=CONCURRENCY)
    print(f"ideal {best_s:.1f} s, ratio {wall_s / best_s:.3f}")
    assert wall_s <= 1.3 * best_s
