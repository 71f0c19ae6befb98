"""Runs one job in an environment: `python -m wmsforge.env.worker`, started by `wmsforge.env.process`.

Standard library only: the environment holds what the job needs and not what the host does. Control goes over
private descriptors as JSON lines, so what a job prints, C code included, goes to the log and never into it.

Host to worker, one line each: {"job": "module:function", "data": {...}}, then {"t": "stop"}.
Worker to host: hello, beat, progress, warn, note, and at the end done or error.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO, Protocol

PROTOCOL = 1
BEAT_S = 1.0
LIFELINE = "WMSFORGE_LIFELINE"
"""Variable DESCRIPTOR:FOLDER: what closes when the host is gone, and the folder for temporary files that goes then."""


class JobError(Exception):
    """What the user must change: a line that says what is wrong, and one with the remedy."""


class Report(Protocol):
    """How a job tells what it does."""

    stop_requested: bool
    """Finish the current step, save, return or raise."""

    def progress(self, done: int, total: int, unit: str = "steps", **facts: Any) -> None:
        """Tell how far it is; facts are numbers worth showing, such as loss=1.2."""

    def warn(self, text: str) -> None:
        """Tell the user something they can change."""

    def note(self, text: str) -> None:
        """Tell the user what is going on."""


class PipeReport:
    """A `Report` that writes to the host."""

    def __init__(self, out: BinaryIO) -> None:
        self.stop_requested = False
        self._out = out
        self._turn = threading.Lock()

    def send(self, kind: str, /, **facts: Any) -> None:
        line = json.dumps({"t": kind, **facts}, ensure_ascii=False, default=str).encode() + b"\n"
        with self._turn, contextlib.suppress(BrokenPipeError):  # the host is gone, and the lifeline ends us
            self._out.write(line)
            self._out.flush()

    def progress(self, done: int, total: int, unit: str = "steps", **facts: Any) -> None:
        self.send("progress", done=done, total=total, unit=unit, facts=facts)

    def warn(self, text: str) -> None:
        self.send("warn", text=text)

    def note(self, text: str) -> None:
        self.send("note", text=text)


def main() -> int:
    """Do the job that comes on standard input; return the exit code."""
    control, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if LIFELINE in os.environ:
        lifeline, _, folder = os.environ.pop(LIFELINE).partition(":")
        _die_with_the_host(int(lifeline), folder, (control, out))
    report = PipeReport(out)
    report.send("hello", protocol=PROTOCOL, python=sys.version.split()[0], prefix=sys.prefix, dists=_dists())
    asked = json.loads(control.readline())
    threading.Thread(target=_listen, args=(control, report), daemon=True).start()
    threading.Thread(target=_beat, args=(report,), daemon=True).start()
    try:
        module, _, name = asked["job"].partition(":")
        result = getattr(importlib.import_module(module), name)(asked["data"], report)
        report.send("done", result=result)
    except JobError as error:
        report.send("error", kind="user", message=str(error))
    except BaseException as error:  # whatever it is, the host must hear of it; the log has the traceback
        traceback.print_exc()
        kind = "memory" if _is_out_of_memory(error) else "fault"
        report.send("error", kind=kind, message=f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    sys.stderr.flush()
    return 0


def _die_with_the_host(lifeline: int, folder: str, ours: tuple[BinaryIO, ...]) -> None:
    """Fork a watcher that kills the whole process group, the job's own children too, when the host is gone.

    The folder goes with them; a host that is not killed removes it itself.
    """
    if os.fork():
        os.close(lifeline)
        return
    for file in ours:
        file.close()
    os.dup2(0, 1)  # nothing, as 0 is: the log must end although this goes on
    os.dup2(0, 2)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    watcher = os.getpid()
    os.read(lifeline, 1)  # returns when the other end is closed, however that came
    cleaner = os.fork()
    if cleaner:
        os.setpgid(cleaner, cleaner)  # it outlives the group for a moment
        os.killpg(0, signal.SIGKILL)
    while os.getppid() == watcher:
        time.sleep(0.01)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _listen(control: BinaryIO, report: PipeReport) -> None:
    for line in control:
        if json.loads(line).get("t") == "stop":
            report.stop_requested = True


def _beat(report: PipeReport) -> None:
    while not threading.Event().wait(BEAT_S):
        report.send("beat")


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _dists() -> dict[str, str]:
    """Return what is installed here and its versions."""
    found: dict[str, str] = {}
    for one in importlib.metadata.distributions():
        if one.name:  # no name: torn
            found.setdefault(one.name, one.version)  # of two, the first is imported
    return found


if __name__ == "__main__":
    from wmsforge.env import worker  # the module that jobs import: a JobError of theirs is not one of __main__

    sys.exit(worker.main())
