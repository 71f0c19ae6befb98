"""Runs one job in another Python and listens to it. The other side is `wmsforge.env.worker`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wmsforge.env.failures import FailedJobError, died, failed
from wmsforge.env.masked_log import MaskedLog
from wmsforge.env.worker import LIFELINE, PROTOCOL
from wmsforge.errors import StepError
from wmsforge.masking import Mask

SILENCE_S = 600.0
"""A worker that sends nothing, not even its heartbeat, for so long is given up: C code may hold it for minutes."""
STOP_S, TERMINATE_S = 20.0, 5.0
"""How long a worker has to end after it was asked to, and after SIGTERM; then its whole group is killed."""
EXIT_S = 10.0
"""How long a worker has to exit after its job is done; threads or children of the job may keep it."""
POLL_S = 0.05
LINE_BYTES = 64 * 1024 * 1024
DRAIN_S = 1.0
"""How long a log may take to end; what an unruly job put into a group of its own may hold it open."""


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
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret -> what stands in its place in the log, in warnings, notes and errors."""
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
    own_folder = tempfile.mkdtemp(prefix="wmsforge-")
    lifeline, ours = os.pipe()
    mask = Mask(job.secrets)
    log = MaskedLog(job.log, mask)
    try:
        try:
            process = await _start(python, code, job, lifeline, log.end, own_folder)
        finally:
            os.close(lifeline)
            log.handed_over()
        try:
            return await _listen(process, job, mask)
        except BaseException as error:
            await _end(process)
            if isinstance(error, FailedJobError):
                await asyncio.to_thread(log.wait, DRAIN_S)  # the worker's last words may still be on their way
                raise error.told(log, mask) from None
            raise
        finally:
            # Children of the job may hold the pipes open, and asyncio then keeps them until the loop is gone.
            process._transport.close()  # type: ignore[attr-defined]
    finally:
        os.close(ours)  # whatever the worker left behind dies with this
        log.wait(DRAIN_S)
        shutil.rmtree(own_folder, ignore_errors=True)  # the worker's watcher may be at it already


async def _start(
    python: Path, code: Path, job: Job, lifeline: int, log: int, own_folder: str
) -> asyncio.subprocess.Process:
    variables = {
        **os.environ,
        **job.environ,
        "PYTHONPATH": str(code),
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "TMPDIR": own_folder,
        LIFELINE: f"{lifeline}:{own_folder}",
    }
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


async def _listen(process: asyncio.subprocess.Process, job: Job, mask: Mask) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None  # both are pipes
    with contextlib.suppress(ConnectionError):  # it died before it read this, which the loop below notices
        process.stdin.write(json.dumps({"job": job.target, "data": job.data}).encode() + b"\n")
        await process.stdin.drain()
    while True:
        line = await _next_line(process, job)
        if not line.endswith(b"\n"):
            await _exited(process, EXIT_S)
            raise died(job.step, process.returncode, job.out_of_memory)
        told = json.loads(line)
        match told.pop("t"):
            case "hello":
                _check(told, job)
                job.hello(told)
            case "progress":
                job.progress(told)
            case "warn":
                job.warn(mask(told["text"]))
            case "note":
                job.note(mask(told["text"]))
            case "error":
                raise failed(job.step, told, job.out_of_memory)
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
    raise FailedJobError(
        f"Step {job.step!r}: its worker gave no sign of life for {job.silence_s:,.0f} s and was stopped.\n"
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
