"""Runs one job in another Python and listens to it. The other side is `wmsforge.env.worker`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wmsforge.env.worker import LIFELINE, PROTOCOL
from wmsforge.errors import StepError

SILENCE_S = 600.0
"""A worker that sends nothing, not even its heartbeat, for so long is given up: C code may hold it for minutes."""
STOP_S, TERMINATE_S = 20.0, 5.0
"""How long a worker has to end after it was asked to, and after SIGTERM; then its whole group is killed."""
EXIT_S = 10.0
"""How long a worker has to exit after its job is done; threads or children of the job may keep it."""
POLL_S = 0.05
LINE_BYTES = 64 * 1024 * 1024
QUOTED_LINES = 15


@dataclass
class Job:
    """One job and who hears of it."""

    step: str
    target: str
    """"module:function" in the environment."""
    data: Mapping[str, Any]
    log: Path
    """Where everything that the job prints goes."""
    out_of_memory: str = ""
    """What to change when memory runs out."""
    progress: Callable[[Mapping[str, Any]], None] = lambda facts: None
    warn: Callable[[str], None] = lambda text: None
    note: Callable[[str], None] = lambda text: None
    hello: Callable[[Mapping[str, Any]], None] = lambda facts: None
    silence_s: float = SILENCE_S
    environ: Mapping[str, str] = field(default_factory=dict)


async def run_job(python: Path, code: Path, job: Job) -> dict[str, Any]:
    """Run a job and return what it returns.

    Nothing of it survives: not the worker nor what it started, whether this ends well, is cancelled, or is killed.

    Args:
        python: The environment's.
        code: A folder to import the host's own packages from.

    Raises:
        StepError: If the job says that the user must change something, breaks, runs out of memory or dies.
    """
    job.log.parent.mkdir(parents=True, exist_ok=True)
    lifeline, ours = os.pipe()
    try:
        process = await _start(python, code, job, lifeline)
        os.close(lifeline)
        lifeline = -1
        try:
            return await _listen(process, job)
        except BaseException:
            await _end(process)
            raise
        finally:
            # Children of the job may hold the pipes open, and asyncio then keeps them until the loop is gone.
            process._transport.close()  # type: ignore[attr-defined]
    finally:
        if lifeline >= 0:
            os.close(lifeline)
        os.close(ours)  # whatever the worker left behind dies with this


async def _start(python: Path, code: Path, job: Job, lifeline: int) -> asyncio.subprocess.Process:
    variables = {
        **os.environ,
        **job.environ,
        "PYTHONPATH": str(code),
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        LIFELINE: str(lifeline),
    }
    with job.log.open("ab") as log:
        try:
            return await asyncio.create_subprocess_exec(
                str(python),
                "-m",
                "wmsforge.env.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=variables,
                limit=LINE_BYTES,
                pass_fds=[lifeline],
                start_new_session=True,
            )
        except OSError as error:
            raise StepError(
                f"Step {job.step!r}: {python} cannot be run: {error}.\n"
                f"Correct the option env, or build the environment again: wmsforge env build"
            ) from error


async def _listen(process: asyncio.subprocess.Process, job: Job) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None  # both are pipes
    with contextlib.suppress(ConnectionError):  # it died before it read this, which the loop below notices
        process.stdin.write(json.dumps({"job": job.target, "data": job.data}).encode() + b"\n")
        await process.stdin.drain()
    while True:
        line = await _next_line(process, job)
        if not line.endswith(b"\n"):
            await _exited(process, EXIT_S)
            raise _died(process.returncode, job)
        told = json.loads(line)
        match told.pop("t"):
            case "hello":
                _check(told, job)
                job.hello(told)
            case "progress":
                job.progress(told)
            case "warn":
                job.warn(told["text"])
            case "note":
                job.note(told["text"])
            case "error":
                raise _failed(told, job)
            case "done":
                await _exited(process, EXIT_S)
                result: dict[str, Any] = told["result"]
                return result


async def _next_line(process: asyncio.subprocess.Process, job: Job) -> bytes:
    """Return the next line, or what there is of one when the worker is gone.

    The end of the pipe does not tell that: children that the job forked hold it open.
    """
    assert process.stdout is not None  # a pipe
    reading = asyncio.ensure_future(process.stdout.readline())
    watching = asyncio.ensure_future(_exited(process, job.silence_s))
    try:
        await asyncio.wait((reading, watching), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done() and process.returncode is not None:
            await asyncio.wait((reading,), timeout=1.0)  # what it wrote last may still be on its way
        if reading.done():
            return reading.result()
    finally:
        reading.cancel()
        watching.cancel()
    if process.returncode is not None:
        return b""
    raise StepError(
        f"Step {job.step!r}: its worker gave no sign of life for {job.silence_s:,.0f} s and was stopped.\n{_log(job)}"
    )


async def _exited(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Wait so long for the worker to exit; return whether it did.

    `Process.wait` would wait for the end of the pipes too, which children of the job may hold.
    """
    until = asyncio.get_running_loop().time() + seconds
    while process.returncode is None and asyncio.get_running_loop().time() < until:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(POLL_S)
    return process.returncode is not None


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the worker to stop, then end it."""
    assert process.stdin is not None  # a pipe
    with contextlib.suppress(ConnectionError, RuntimeError):  # its end of the pipe is closed already
        process.stdin.write(b'{"t": "stop"}\n')
    if await _exited(process, STOP_S):
        return
    for signum, seconds in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, TERMINATE_S)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        if await _exited(process, seconds):
            return


def _check(told: Mapping[str, Any], job: Job) -> None:
    if told["protocol"] != PROTOCOL:
        raise StepError(f"Step {job.step!r}: its worker speaks protocol {told['protocol']}, this is {PROTOCOL}.")


def _failed(told: Mapping[str, Any], job: Job) -> StepError:
    if told["kind"] == "user":
        message = told["message"].removeprefix(f"Step {job.step!r}: ")  # a job may name its step itself
        return StepError(f"Step {job.step!r}: {message}")
    if told["kind"] == "memory":
        return _out_of_memory(told["message"], job)
    return StepError(
        f"Step {job.step!r} broke in its environment: {told['message']}\n"
        f"This is a fault of the component or of its environment. {_log(job)}"
    )


def _died(code: int | None, job: Job) -> StepError:
    if code is None:
        return StepError(f"Step {job.step!r}: its worker closed the connection before its job was done.\n{_log(job)}")
    if code == -signal.SIGKILL:
        return _out_of_memory("its worker was killed (signal 9), as a system does when memory runs out", job)
    how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
    return StepError(f"Step {job.step!r}: its worker ended with {how} before its job was done.\n{_log(job)}")


def _out_of_memory(what: str, job: Job) -> StepError:
    advice = f"Change: {job.out_of_memory}\n" if job.out_of_memory else ""
    return StepError(f"Step {job.step!r} ran out of memory: {what}.\n{advice}{_log(job)}")


def _log(job: Job) -> str:
    """Return the end of the log, where it is, and how to go on."""
    last = job.log.read_text("utf-8", errors="replace").splitlines()[-QUOTED_LINES:] if job.log.is_file() else []
    quoted = "".join(f"  {line[:400]}\n" for line in last)
    return f"The last of its log:\n{quoted}The whole log: {job.log}\nThe same command goes on from what is finished."
