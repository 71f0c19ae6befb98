"""A server that gives every request the same reply, and replies to give."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


@asynccontextmanager
async def replying(status: int, body: Any, headers: dict[str, str] | None = None) -> AsyncIterator[str]:
    """Answer every request with this reply; gives the base_url. A body that is no text is sent as JSON."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body), headers=headers)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


def error(message: str, kind: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def completion(message: dict[str, Any], finish: str = "stop", **fields: Any) -> dict[str, Any]:
    return {"model": "solar-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **fields}


def google_error(status: str, message: str, *details: dict[str, Any]) -> list[dict[str, Any]]:
    """What Google's OpenAI endpoint sends: its own error, in a list."""
    return [{"error": {"code": 429, "message": message, "status": status, "details": list(details)}}]
