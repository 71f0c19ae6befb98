"""How much the engine costs over a bare loop: the same calls to the same mock server, in one run.

    python tests/bench/orchestration.py --rows 20000 --concurrency 256 --latency 0.2
    python tests/bench/orchestration.py --model gemini

The reference keeps nothing; see `orchestration_loops`. The engine asks the same questions with the
ledger, three stores, a filter and a JSONL dataset. Each runs in a process of its own against a
server in a third. Prints a table and a JSON object for each model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MODELS = ("openai-compatible", "gemini")


def prompt(number: int) -> str:
    return f"{number}번 질문입니다. 입고 검수에서 수량이 맞지 않을 때 어떻게 처리해야 하는지 단계별로 알려 주세요."


def serve(model: str, latency: float) -> AbstractContextManager[str]:
    """Serve what the model talks to; gives its base_url."""
    import mock_gemini
    import mock_openai

    mock = mock_gemini if model == "gemini" else mock_openai
    return mock.subprocess_server("--latency", str(latency))


def child(role: str, model: str, base_url: str, rows: int, concurrency: int) -> dict[str, float]:
    """Run one side in a process of its own and return its wall and CPU seconds and peak memory."""
    command = [sys.executable, __file__, "--role", role, "--model", model, "--url", base_url]
    command += ["--rows", str(rows), "--concurrency", str(concurrency)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def run_role(role: str, model: str, base_url: str, rows: int, concurrency: int) -> None:
    from orchestration_engine import engine  # before the clock starts: neither side's imports count
    from orchestration_loops import LOOPS

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        if role == "engine":
            asyncio.run(engine(model, base_url, rows, concurrency, Path(folder)))
        else:
            asyncio.run(LOOPS[model](base_url, [prompt(number) for number in range(rows)], concurrency))
        wall = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps({"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_rss_mb": peak}))


def compare(model: str, rows: int, concurrency: int, latency: float) -> dict[str, Any]:
    """Run both sides, print their table and return the figures."""
    with serve(model, latency) as base_url:
        sides = {role: child(role, model, base_url, rows, concurrency) for role in ("reference", "engine")}
    print(f"{model}: {rows:,} rows, {concurrency} at once, {latency:g} s each, on {os.cpu_count()} cores")
    print(f"{'':12}{'wall s':>10}{'cpu s':>10}{'peak MB':>10}")
    print(f"{'ideal':12}{rows * latency / concurrency:>10.1f}")
    for role, figures in sides.items():
        print(f"{role:12}{figures['wall_s']:>10.1f}{figures['cpu_s']:>10.1f}{figures['peak_rss_mb']:>10.0f}")
    return {
        "model": model,
        "ratio": round(sides["engine"]["wall_s"] / sides["reference"]["wall_s"], 3),
        "wall_s": round(sides["engine"]["wall_s"], 2),
        "reference_wall_s": round(sides["reference"]["wall_s"], 2),
        "cpu_s": round(sides["engine"]["cpu_s"], 2),
        "reference_cpu_s": round(sides["reference"]["cpu_s"], 2),
        "peak_rss_mb": round(sides["engine"]["peak_rss_mb"], 1),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, help="only this one")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds the server takes for each answer")
    parser.add_argument("--role", choices=["reference", "engine"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        run_role(arguments.role, arguments.model, arguments.url, arguments.rows, arguments.concurrency)
        return
    for model in MODELS if arguments.model is None else (arguments.model,):
        print(json.dumps(compare(model, arguments.rows, arguments.concurrency, arguments.latency)), flush=True)


if __name__ == "__main__":
    main()
