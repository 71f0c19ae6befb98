"""The references of the orchestration benchmark: loops that ask everything and keep nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

OPENAI, GEMINI, KEY = "mock", "gemini-3.8-flash", "any"
TIMEOUT_S, CONNECT_S = 120.0, 30.0
"""As the models set them."""


async def aiohttp_loop(base_url: str, prompts: Sequence[str], concurrency: int) -> None:
    """Ask by bare aiohttp."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(prompt: str) -> str:
            body = {
                "model": OPENAI,
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 500,
                "temperature": 0.0,
            }
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                answer: str = (await response.json())["choices"][0]["message"]["content"]
                return answer

        await _ask_all(ask, prompts, concurrency)


async def genai_loop(base_url: str, prompts: Sequence[str], concurrency: int) -> None:
    """Ask by google-genai over the HTTP client that the model `gemini` gives it, and read the answer's text.

    The model's small connection pools are part of that client: over one pool of its own this loop takes nearly
    twice the time.
    """
    import httpx2
    from google import genai
    from google.genai import types
    from wmsforge_gemini.transport import Pools

    timeout = httpx2.Timeout(TIMEOUT_S, connect=CONNECT_S)
    async with httpx2.AsyncClient(timeout=timeout, transport=Pools(base_url, concurrency)) as http:
        client = genai.Client(
            api_key=KEY,
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=base_url,
                api_version="v1beta",
                timeout=round(TIMEOUT_S * 1000),
                httpx_async_client=http,
            ),
        )

        async def ask(prompt: str) -> str:
            reply = await client.aio.models.generate_content(
                model=GEMINI,
                contents=[{"role": "user", "parts": [{"text": prompt}]}],
                config={
                    "temperature": 0.0,
                    "max_output_tokens": 500,
                    "automatic_function_calling": {"disable": True},
                },
            )
            return str(reply.text)

        await _ask_all(ask, prompts, concurrency)
        await client.aio.aclose()


LOOPS = {"openai-compatible": aiohttp_loop, "gemini": genai_loop}


async def _ask_all(ask: Callable[[str], Awaitable[str]], prompts: Sequence[str], concurrency: int) -> None:
    """Ask by a fixed number of tasks, so that memory does not grow with the rows."""
    waiting = iter(prompts)

    async def labour() -> None:
        for prompt in waiting:
            await ask(prompt)

    await asyncio.gather(*(labour() for _ in range(concurrency)))
