"""What one call costs the client: a bare aiohttp loop, this plugin, and the `openai` package.

    python plugins/wmsforge-openai/tests/bench_call.py --calls 5000 --concurrency 256

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

import aiohttp
from wmsforge_openai.chat_model import OpenAICompatibleModel

from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.testing import LocalContext

sys.path.append(str(Path(__file__).resolve().parents[3] / "tests"))
from mock_openai import subprocess_server

Ask = Callable[[str], Awaitable[str]]
PASSAGES = "입고 검수는 예정 수량과 실물을 대조하는 작업입니다. " * 40
"""About 1,200 characters: a prompt with three passages."""


@asynccontextmanager
async def bare_aiohttp(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def ask(prompt: str) -> str:
            body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "max_tokens": 500}
            async with session.post(f"{base_url}/chat/completions", json=body) as reply:
                text: str = (await reply.json())["choices"][0]["message"]["content"]
                return text

        yield ask


@asynccontextmanager
async def wmsforge_openai(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    options = OpenAICompatibleModel.Options(base_url=base_url, model="m", concurrency=concurrency)
    model = OpenAICompatibleModel(options, LocalContext(Path()))
    await model.open()

    async def ask(prompt: str) -> str:
        return (await model.complete(ChatRequest(messages=(Message(role="user", content=prompt),)))).text

    yield ask
    await model.close()


@asynccontextmanager
async def openai_sdk(base_url: str, concurrency: int) -> AsyncIterator[Ask]:
    import openai

    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:

        async def ask(prompt: str) -> str:
            messages = [{"role": "user", "content": prompt}]
            reply = await client.chat.completions.create(model="m", messages=messages, max_tokens=500)
            return reply.choices[0].message.content

        yield ask


CLIENTS = {"bare aiohttp": bare_aiohttp, "wmsforge-openai": wmsforge_openai, "openai SDK": openai_sdk}


async def measure(client: str, base_url: str, calls: int, concurrency: int) -> dict[str, float]:
    """Return milliseconds of this process's CPU per call, and calls per second, after a warm-up."""
    slots = asyncio.Semaphore(concurrency)
    async with CLIENTS[client](base_url, concurrency) as ask:

        async def one(number: int) -> None:
            async with slots:
                await ask(f"{PASSAGES}\n질문 {number}: 수량이 다르면 어떻게 하나요?")

        await asyncio.gather(*(one(-number) for number in range(concurrency)))
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(calls)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms": round(1000 * cpu / calls, 3), "calls_per_s": round(calls / wall)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency", default="0", help="seconds the server waits before each answer")
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
