"""Jobs for the tests of the worker: they run in a process of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from wmsforge.env.worker import JobError, Report


def double(data: dict[str, Any], report: Report) -> dict[str, Any]:
    print("a print is for the log", flush=True)
    os.write(1, b"so is what C code writes\n")
    report.progress(1, 2, loss=0.5)
    report.warn("careful")
    report.note("half way")
    return {"doubled": 2 * data["number"], "pid": os.getpid()}


def echo(data: dict[str, Any], report: Report) -> dict[str, Any]:
    return {"text": data["text"]}


def leaks(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Say a secret in every way that a job can, and in two halves of one line."""
    key = data["key"]
    print(f"token {key}, {json.dumps({'t': key})}, https://me:pass@host/x", flush=True)
    os.write(2, b"half " + key[:5].encode())
    os.write(2, key[5:].encode() + b" whole\n")
    report.warn(f"warned of {key}")
    report.note(f"noted {key}")
    if data["then"] == "die":
        os.write(2, b"no newline " + key.encode())
        os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError(f"refused {key}")


def temporary(data: dict[str, Any], report: Report) -> dict[str, Any]:
    folder = tempfile.mkdtemp()
    Path(folder, "file").touch()
    Path(data["told"]).write_text(folder, encoding="utf-8")
    if data["then"] == "wait":
        time.sleep(600)
    return {}


def prints_much(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Print lines, and one long line without end that holds a secret at every 1,000 bytes."""
    for number in range(200_000):
        print("line", number)
    sys.stdout.write((data["key"] + "." * (1000 - len(data["key"]))) * 1000)
    return {}


def user_error(data: dict[str, Any], report: Report) -> dict[str, Any]:
    raise JobError("The rows are too long.\nSet max_length.")


def fault(data: dict[str, Any], report: Report) -> dict[str, Any]:
    raise ZeroDivisionError("of the job")


def no_memory(data: dict[str, Any], report: Report) -> dict[str, Any]:
    raise MemoryError("cannot allocate")


def killed(data: dict[str, Any], report: Report) -> dict[str, Any]:
    print("the last words", flush=True)
    os.kill(os.getpid(), data["signal"])
    return {}


def leaves_a_child(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Start a child by exec and one by fork, say their ids, and end as told."""
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    forked = os.fork()
    if not forked:
        time.sleep(600)
        os._exit(0)
    Path(data["pids"]).write_text(f"{os.getpid()} {started.pid} {forked}", encoding="utf-8")
    if data["then"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if data["then"] == "wait":
        time.sleep(600)
    return {}


def silent(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Stop everything, the heartbeat too, as C code that holds the interpreter does."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return {}


def stops_when_asked(data: dict[str, Any], report: Report) -> dict[str, Any]:
    Path(data["started"]).touch()
    while not report.stop_requested:
        time.sleep(0.02)
    Path(data["saved"]).touch()
    return {}


def deaf(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Neither the request nor SIGTERM ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(data["started"]).write_text(str(os.getpid()), encoding="utf-8")
    while True:
        time.sleep(1)


def never_exits(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return, with a thread left that keeps the interpreter from ending."""
    import threading

    threading.Thread(target=time.sleep, args=(600,)).start()
    return {"done": True}
