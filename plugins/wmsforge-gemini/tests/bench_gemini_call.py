"""What one call costs the client: a bare loop over Google's client, and this plugin, which uses the same one.

    python plugins/wmsforge-gemini/tests/bench_gemini_call.py --calls 3000 --concurrency 256

The mock server runs in another process; the last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from google import genai
from google.genai import types
from wmsforge_gemini.chat_model import GeminiModel

from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.testing import LocalContext

sys.path.append(str(Path(__file__).resolve().parents[3] / "tests"))
from mock_gemini import subprocess_server

Ask = Callable[[str], Awaitable[str]]
ROLE = "당신은 창고 관리 시스템 도입을 고민하는 물류 현업자입니다. " * 10
TOPIC = "주제: 입고 검수. 서로 다른 질문을 하세요. " * 10


@asynccontextmanager
async def google_genai(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    http = httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=concurrency))
    options = types.HttpOptions(base_url=base_url, api_version="v1beta", timeout=60_000, httpx_async_client=http)
    client = genai.Client(api_key="none", http_options=options)

    async def ask(prompt: str) -> str:
        config = types.GenerateContentConfig(system_instruction=ROLE, temperature=0.7, max_output_tokens=500)
        reply = await client.aio.models.generate_content(model="gemini-3.8-flash", contents=prompt, config=config)
        return reply.text or ""

    yield ask
    await http.aclose()


@asynccontextmanager
async def wmsforge_gemini(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    settings = {"model": "gemini-3.8-flash", "api_key": "none", "base_url": base_url, "concurrency": concurrency}
    model = GeminiModel(GeminiModel.Options(**settings), LocalContext(Path()))
    await model.open()

    async def ask(prompt: str) -> str:
        messages = (Message(role="system", content=ROLE), Message(role="user", content=prompt))
        return (await model.complete(ChatRequest(messages=messages, temperature=0.7))).text

    yield ask
    await model.close()


CLIENTS = {"google-genai": google_genai, "wmsforge-gemini": wmsforge_gemini}


async def measure(client: str, base_url: str, calls: int, concurrency: int) -> dict[str, float]:
    """Return milliseconds of this process's CPU per call, and calls per second, after a warm-up."""
    slots = asyncio.Semaphore(concurrency)
    async with CLIENTS[client](base_url, concurrency) as ask:

        async def one(number: int) -> None:
            async with slots:
                await ask(f"{TOPIC}\n{number}번째")

        await asyncio.gather(*(one(-number) for number in range(concurrency)))
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(calls)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms": round(1000 * cpu / calls, 3), "calls_per_s": round(calls / wall)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency", default="0.2", help="seconds the server waits before each answer")
    arguments = parser.parse_args()
    results = {}
    print(f"{'client':16}{'CPU ms/call':>12}{'calls/s':>10}")
    for client in CLIENTS:
        with subprocess_server("--latency", arguments.latency) as base_url:
            results[client] = asyncio.run(measure(client, base_url, arguments.calls, arguments.concurrency))
        print(f"{client:16}{results[client]['cpu_ms']:>12.3f}{results[client]['calls_per_s']:>10,.0f}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
