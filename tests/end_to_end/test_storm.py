"""A storm of rate limits, errors, hangs and broken answers, and five kills in it: nothing lost, nothing paid twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

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
IN_TRANSIT_S = 0.1
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


def kill_now_and_then(project: Project, base_url: str) -> tuple[float, list[float]]:
    """Run to the end with kills on the way; return the wall seconds and the times of the kills, since 1970."""
    moments = random.Random(5)
    kills = []
    start = time.monotonic()
    for kill in range(1, KILLS + 1):
        process = project.start("run", "recipe.yaml")
        wait_for_calls(process, base_url, kill * CALLS // (KILLS + 1) + moments.randrange(-100, 100))
        os.kill(process.pid, signal.SIGKILL)
        kills.append(time.time())
        process.wait()
    assert project.start("run", "recipe.yaml").wait(timeout=600) == 0, project.log()
    return time.monotonic() - start, kills


def wait_for_calls(process: subprocess.Popen[bytes], base_url: str, served: int) -> None:
    while stats(base_url)["served"] < served:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.1)


def schedule(events: Iterable[dict[str, Any]]) -> list[list[Attempt]]:
    """Return what each call met, try by try, as the server saw it.

    What a kill cut off is part of it, for as long as it lasted: no schedule can keep what was in flight then. That
    a process must start again five times is not: that costs the engine.
    """
    began: dict[str, float] = {}
    calls: dict[str, list[Attempt]] = defaultdict(list)
    for event in events:
        key = event["hash"]
        if event["event"] == "started":
            began[key] = event["time"]
            continue
        seconds = event["time"] - began.pop(key)
        calls[key].append(Attempt(seconds, event.get("hint_s") or 0.0))
    return list(calls.values())


def too_early(events: Iterable[dict[str, Any]], kills: Sequence[float]) -> list[tuple[str, float]]:
    """Return the calls that came again before their hint was over, and by how many seconds.

    A hint that was on its way when its process was killed reached no one.
    """
    not_before: dict[str, float] = {}
    found = []
    for event in events:
        key, moment = event["hash"], event["time"]
        if event["event"] == "started" and moment < not_before.get(key, 0.0):
            found.append((key, not_before[key] - moment))
        elif event.get("hint_s") and not any(kill - IN_TRANSIT_S < moment < kill for kill in kills):
            not_before[key] = moment + event["hint_s"]
    return found


def test_two_thousand_calls_in_a_storm_with_five_kills(make_project: Callable[..., Project], tmp_path: Path) -> None:
    project = make_project(GOOGLE_API_KEY="a-key-of-the-storm")
    write_personas(project.folder)
    log = tmp_path / "server.jsonl"
    faults = [argument for fault in STORM for argument in ("--fault", fault)]
    server = ("--latency", str(LATENCY_S), "--hint", "0.5", "3", "--faults-per-request", "99", "--log", str(log))
    with subprocess_server(*server, *faults) as base_url:
        topics = json.dumps([f"주제 {number}" for number in range(TOPICS)], ensure_ascii=False)
        project.write(RECIPE, base_url=base_url, topic_list=topics, concurrency=CONCURRENCY, timeout_s=TIMEOUT_S)
        wall_s, kills = kill_now_and_then(project, base_url)
        seen = stats(base_url)
    events = [json.loads(line) for line in log.open(encoding="utf-8")]
    print(f"\n{seen['started']:,} requests for {CALLS:,} calls, outcomes {seen['outcomes']}, {wall_s:.1f} s")

    questions, rejected = project.store("storm", "questions")
    manifest = json.loads((project.folder / ".wmsforge/storm/steps/questions/manifest.json").read_text("utf-8"))
    assert manifest["counts"]["read"] == CALLS == len(questions) + manifest["counts"]["failed"]
    assert len(rejected) == manifest["counts"]["failed"] < 0.01 * CALLS
    assert {one["reason"] for one in rejected} <= {
        "rate_limit", "server_error", "timeout", "malformed_json", "schema_mismatch",
    }  # fmt: skip

    assert too_early(events, kills) == [], "a call came again before the server's hint was over"
    assert seen["unique"] == CALLS
    lost = [
        event for event in events if event["event"] == "abandoned" and event["outcome"] not in ("hang", "rate_limit")
    ]
    again = sum(count - 1 for count in seen["repeated"].values())
    assert again <= len(lost) + KILLS * 4, "more was paid twice than was in flight at the kills"
    assert len(lost) <= KILLS * CONCURRENCY
    assert "a-key-of-the-storm" not in project.log()

    knows_all_s = ideal_wall_s(schedule(events), concurrency=CONCURRENCY)
    ideal_s = ideal_wall_s(schedule(events), concurrency=CONCURRENCY, longest_first=False)
    print(f"ideal {ideal_s:.1f} s, ratio {wall_s / ideal_s:.3f}; with the future known {knows_all_s:.1f} s")
    assert wall_s <= 1.3 * ideal_s
