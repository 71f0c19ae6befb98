"""The server `static-server`."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import ProxyHandler, build_opener

from pydantic import Field

from wmsforge.errors import StepError
from wmsforge.options import Options as BaseOptions
from wmsforge.records import Artifact
from wmsforge.steps.server import Server


class StaticServer(Server):
    """Answers every GET on 127.0.0.1 with what it serves, as JSON."""

    class Options(BaseOptions):
        port: int = Field(default=0, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")

    options: Options

    async def start(self, source: Artifact) -> Artifact:
        body = source.model_dump_json().encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: stderr belongs to the run."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", self.options.port), Handler)
        except OSError as error:
            raise StepError(
                f"Step {self.context.step!r} cannot listen on 127.0.0.1:{self.options.port}: {error}.\n"
                f"Choose another port, or 0 for a free one."
            ) from error
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        url = f"http://127.0.0.1:{self._server.server_port}/"
        await asyncio.to_thread(_get, url)
        return Artifact(kind="endpoint", url=url, facts={"serves": source.kind})

    async def stop(self) -> None:
        await asyncio.to_thread(self._server.shutdown)
        self._server.server_close()
        self._thread.join()


def _get(url: str) -> bytes:
    with build_opener(ProxyHandler({})).open(url, timeout=10) as reply:
        content: bytes = reply.read()
    return content
