"""Wheels of a package `tinydep`, and an index on 127.0.0.1 that has them."""

from __future__ import annotations

import base64
import importlib.metadata
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(folder: Path, version: str, name: str = "tinydep") -> Path:
    """Make a pure-Python wheel that says its version."""
    folder.mkdir(parents=True, exist_ok=True)
    info, path = f"{name}-{version}.dist-info", folder / f"{name}-{version}-py3-none-any.whl"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": WHEEL,
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(file, text)
    return path


class TinyIndex:
    """Serves the wheels of a folder as an index at `url`, in a thread; as a proxy, at any address.

    Args:
        login: "user:password" that every request must bring, empty for none.
    """

    def __init__(self, wheels: Path, login: str = "") -> None:
        self.asked: list[str] = []
        """Path of every request that was answered."""
        self.held = threading.Event()
        """Set when somebody waits for a wheel that is held back."""
        self.may_go = threading.Event()
        """Clear it to hold wheels back."""
        self.may_go.set()
        index, expected = self, "Basic " + base64.b64encode(login.encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if login and self.headers.get("Authorization") != expected:
                    self._send(401, b"", {"WWW-Authenticate": 'Basic realm="tiny"'})
                    return
                path = urlsplit(self.path).path  # of a whole address, when it is asked as a proxy
                index.asked.append(path)
                name = path.rsplit("/", 1)[1]
                if name.endswith(".whl"):
                    if not index.may_go.is_set():
                        index.held.set()
                        index.may_go.wait(60)
                    self._send(200, (wheels / name).read_bytes(), {"Content-Type": "application/octet-stream"})
                elif path == "/simple/tinydep/":
                    links = "".join(f'<a href="/files/{path.name}">{path.name}</a>' for path in wheels.glob("*.whl"))
                    self._send(200, f"<!DOCTYPE html><html><body>{links}</body></html>".encode())
                else:
                    self._send(404, b"")

            def do_HEAD(self) -> None:
                self.do_GET()

            def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                try:
                    self.send_response(status)
                    for name, value in {"Content-Type": "text/html", **(headers or {})}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    if self.command == "GET":
                        self.wfile.write(body)
                except ConnectionError:
                    pass  # who asked was killed

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        at = f"{login}@" if login else ""
        self.url = f"http://{at}127.0.0.1:{self._server.server_port}/simple"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> TinyIndex:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.may_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def make_wheel_of_installed(folder: Path, name: str, version: str) -> Path:
    """Make a wheel of an installed pure-Python package, called that version, which is near enough for a test."""
    distribution = importlib.metadata.distribution(name)
    info, path = f"{name}-{version}.dist-info", folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file in distribution.files or ():
            if file.parts[0] == name and file.suffix != ".pyc":
                wheel.writestr(file.as_posix(), file.read_binary())
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(f"{info}/RECORD", "".join(f"{entry},,\n" for entry in (*wheel.namelist(), f"{info}/RECORD")))
    return path
