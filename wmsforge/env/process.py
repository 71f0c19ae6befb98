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
        try:
            async with asyncio.timeout(job.silence_s):
                line = await process.stdout.readline()
        except TimeoutError:
            raise StepError(
                f"Step {job.step!r}: its worker gave no sign of life for {job.silence_s:,.0f} s and was stopped.\n"
                f"{_log(job)}"
            ) from None
        if not line.endswith(b"\n"):
            raise _died(await process.wait(), job)
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
                await process.wait()
                result: dict[str, Any] = told["result"]
                return result


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the worker to stop, then end it."""
    if process.returncode is not None:
        return
    assert process.stdin is not None  # a pipe
    with contextlib.suppress(ConnectionError, TimeoutError):
        process.stdin.write(b'{"t": "stop"}\n')
        await asyncio.wait_for(process.wait(), STOP_S)
    for signum, seconds in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, None)):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                os.killpg(process.pid, signum)
                await asyncio.wait_for(process.wait(), seconds)


def _check(told: Mapping[str, Any], job: Job) -> None:
    if told["protocol"] != PROTOCOL:
        raise StepError(f"Step {job.step!r}: its worker speaks protocol {told['protocol']}, this is {PROTOCOL}.")


def _failed(told: Mapping[str, Any], job: Job) -> StepError:
    if told["kind"] == "user":
        return StepError(f"Step {job.step!r}: {told['message']}")
    if told["kind"] == "memory":
        return _out_of_memory(told["message"], job)
    return StepError(
        f"Step {job.step!r} broke in its environment: {told['message']}\n"
        f"This is a fault of the component or of its environment. {_log(job)}"
    )


def _died(code: int, job: Job) -> StepError:
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
