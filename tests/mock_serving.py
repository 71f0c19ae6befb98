"""How our mock servers are started: in a test's event loop, as a process, and from a terminal with options."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from mock_server import MockServer


@asynccontextmanager
async def serving_at_root(mock: MockServer, port: int = 0) -> AsyncIterator[str]:
    """Serve in this event loop; gives the address, without a path."""
    # Cancelled when the client goes away, so that an abandoned request is seen at once.
    server = web.Server(mock.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    # Hundreds of connections may come at once; those beyond the backlog would wait for a SYN sent again.
    site = web.TCPSite(runner, "127.0.0.1", port, backlog=1024)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        mock.close()


@contextmanager
def script_server(script: str, *arguments: str) -> Iterator[str]:
    """Serve from another process that runs a script; gives the first line it prints, its address."""
    command = [sys.executable, script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            if not address:
                raise RuntimeError(f"the mock server did not start: {' '.join(command)}")
            yield address
        finally:
            process.terminate()


def parser(description: str | None, faults: tuple[str, ...]) -> argparse.ArgumentParser:
    """Return a parser of the settings of `MockServer`, whose defaults hold; give its result to `settings`."""
    made = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    made.add_argument("--port", type=int, default=0, help="0 takes a free one")
    made.add_argument("--latency", type=float, metavar="SECONDS", dest="latency_s")
    made.add_argument("--capacity", type=int, help="requests worked on at once")
    made.add_argument("--log", type=Path)
    made.add_argument("--key")
    made.add_argument("--model", action="append", default=[], dest="models", help="serve only these names")
    made.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE", help=", ".join(faults))
    made.add_argument("--faults-per-request", type=int)
    made.add_argument("--slow", type=float, metavar="SECONDS", dest="slow_s")
    made.add_argument("--hint", type=float, nargs="+", metavar="SECONDS", dest="hint_s", help="2, or 0.5 3")
    made.add_argument("--requests-per-minute", type=int)
    made.add_argument("--requests-per-day", type=int)
    made.add_argument("--cached-share", type=float)
    made.add_argument("--thought-tokens", type=int)
    made.add_argument("--context-tokens", type=int)
    made.add_argument("--seed", type=int)
    return made


def settings(parsed: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    """Return the port and the arguments of a `MockServer`."""
    found = vars(parsed)
    port, faults = found.pop("port"), found.pop("fault")
    found["faults"] = {name: float(share) for name, _, share in (fault.partition("=") for fault in faults)}
    if "hint_s" in found:
        found["hint_s"] = (min(found["hint_s"]), max(found["hint_s"]))
    return port, found


async def serve_forever(mock: MockServer, port: int, path: str = "") -> None:
    """Serve until terminated; prints the address, with this path after it."""
    async with serving_at_root(mock, port) as address:
        print(f"{address}{path}", flush=True)
        await asyncio.Event().wait()
