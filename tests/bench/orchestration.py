"""How much the engine costs over a bare loop: the same calls to the same mock server, in one run.

    python tests/bench/orchestration.py --rows 20000 --concurrency 256 --latency 0.2

The reference is an aiohttp loop with a semaphore that keeps nothing. The engine asks the same
questions with the ledger, three stores, a filter and a JSONL dataset. Each runs in a process of its
own against a server in a third. Prints a table, then one JSON object as the last line.
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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

MODEL = "mock"


def prompt(number: int) -> str:
    return f"{number}번 질문입니다. 입고 검수에서 수량이 맞지 않을 때 어떻게 처리해야 하는지 단계별로 알려 주세요."


async def reference(base_url: str, rows: int, concurrency: int) -> None:
    """Ask everything with a semaphore and nothing else."""
    import aiohttp

    slots = asyncio.Semaphore(concurrency)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(number: int) -> str:
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": prompt(number)}],
                "max_tokens": 500,
                "temperature": 0.0,
            }
            async with slots, session.post(f"{base_url}/chat/completions", json=body) as response:
                answer: str = (await response.json())["choices"][0]["message"]["content"]
                return answer

        # A fixed number of tasks, so that memory does not grow with the rows.
        numbers = iter(range(rows))

        async def labour() -> None:
            for number in numbers:
                await ask(number)

        await asyncio.gather(*(labour() for _ in range(concurrency)))


async def engine(base_url: str, rows: int, concurrency: int, folder: Path) -> None:
    """Ask everything through wmsforge."""
    from orchestration_components import Ask, Numbers

    from wmsforge.plugins import PluginHost, load_plugins
    from wmsforge.recipe.model import ComponentUse, Recipe, Step, Target
    from wmsforge.recipe.plan import make_plan
    from wmsforge.registry import Offer
    from wmsforge.run.runner import Runner
    from wmsforge.steps.base import Component
    from wmsforge.store.workspace import Workspace

    host: PluginHost = load_plugins()

    def installed(kind: str, name: str, **options: Any) -> ComponentUse:
        offer = host.registry.find(name, [kind])[0]
        return local(host.registry.load(offer), offer.name, kind, options)

    def local(component: type[Component], name: str, kind: str, options: dict[str, Any]) -> ComponentUse:
        checked = component.Options(**options)
        targets = tuple((ref, Target(model=ref.name)) for _, ref in checked.references())
        return ComponentUse(Offer(kind, name, "", "", "bench", "1"), component, checked, options, 1, targets)

    model = installed("chat_model", "openai-compatible", base_url=base_url, model=MODEL, concurrency=concurrency)
    questions = local(Numbers, "numbers", "question_generator", {"rows": rows})
    answers = local(Ask, "ask", "answer_generator", {"model": "mock"})
    length = installed("filter", "length")
    dataset = installed("exporter", "jsonl", path=str(folder / "dataset.jsonl"))
    steps = [
        Step("questions", "question_generator", (questions,), (), 1, "Question"),
        Step("answers", "answer_generator", (answers,), ("questions",), 2, "Answer"),
        Step("kept", "filter", (length,), ("answers",), 3, "Answer"),
        Step("dataset", "exporter", (dataset,), ("kept",), 4, "dataset"),
    ]
    recipe = Recipe("bench", "bench", "ko", 0, {"mock": model}, {step.id: step for step in steps})
    workspace = Workspace(folder / "workspace")
    done = await Runner(make_plan(recipe, workspace), host, workspace).execute()
    if done["kept"].counts.out != rows:
        raise SystemExit(f"kept {done['kept'].counts.out} of {rows} rows")


def child(role: str, base_url: str, rows: int, concurrency: int) -> dict[str, float]:
    """Run one side in a process of its own and return its wall and CPU seconds and peak memory."""
    command = [sys.executable, __file__, "--role", role, "--url", base_url]
    command += ["--rows", str(rows), "--concurrency", str(concurrency)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def run_role(role: str, base_url: str, rows: int, concurrency: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        if role == "engine":
            asyncio.run(engine(base_url, rows, concurrency, Path(folder)))
        else:
            asyncio.run(reference(base_url, rows, concurrency))
        wall = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    peak = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps({"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_rss_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds the server takes for each answer")
    parser.add_argument("--role", choices=["reference", "engine"], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        run_role(arguments.role, arguments.url, arguments.rows, arguments.concurrency)
        return

    from mock_openai import subprocess_server

    with subprocess_server("--latency", str(arguments.latency)) as base_url:
        sides = {role: child(role, base_url, arguments.rows, arguments.concurrency) for role in ("reference", "engine")}
    ideal = arguments.rows * arguments.latency / arguments.concurrency
    asked = f"{arguments.rows:,} rows, {arguments.concurrency} at once, {arguments.latency:g} s each"
    print(f"{asked}, on {os.cpu_count()} cores")
    print(f"{'':12}{'wall s':>10}{'cpu s':>10}{'peak MB':>10}")
    print(f"{'ideal':12}{ideal:>10.1f}")
    for role, figures in sides.items():
        print(f"{role:12}{figures['wall_s']:>10.1f}{figures['cpu_s']:>10.1f}{figures['peak_rss_mb']:>10.0f}")
    result = {
        "ratio": round(sides["engine"]["wall_s"] / sides["reference"]["wall_s"], 3),
        "wall_s": round(sides["engine"]["wall_s"], 2),
        "reference_wall_s": round(sides["reference"]["wall_s"], 2),
        "peak_rss_mb": round(sides["engine"]["peak_rss_mb"], 1),
        "rows": arguments.rows,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
