"""Runs one command of a build: its output goes to the log, without secrets; it ends when it is told to."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wmsforge.env.masked_log import MaskedLog
from wmsforge.errors import StepError
from wmsforge.masking import Mask

QUOTED_LINES = 12
POLL_S = 0.1
DRAIN_S = 5.0


@dataclass(frozen=True)
class Surroundings:
    """What the commands of one build share.

    Args:
        what: Names the environment and its plugin in messages.
        held: Descriptor of a file lock that a command keeps when this process is killed: no one builds beside it.
    """

    what: str
    log: Path
    variables: Mapping[str, str]
    mask: Mask
    held: int | None = None
    stop: threading.Event | None = None


def run_command(command: list[str], around: Surroundings) -> None:
    """Run a command to its end.

    Raises:
        StepError: If it fails or is stopped; quotes the end of the log.
    """
    check_stop(around.stop, around.what)
    with MaskedLog(around.log, around.mask) as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log.end,
            stderr=subprocess.STDOUT,
            env=dict(around.variables),
            pass_fds=() if around.held is None else (around.held,),
            start_new_session=True,  # so that all of it can be ended
        )
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
            check_stop(around.stop, around.what)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        log.wait(DRAIN_S)
    if process.returncode:
        shown = around.mask(f"{Path(command[0]).name} {' '.join(command[1:5])}")
        raise StepError(
            f"The {around.what} could not be built: {shown} ... ended with {process.returncode}.\n"
            f"{log.last_lines(QUOTED_LINES)}"
            f"The whole log: {around.log}\nMend this (network, index, disk) and run the same command again."
        )


def check_stop(stop: threading.Event | None, what: str) -> None:
    """Raise StepError if the build was told to end."""
    if stop is not None and stop.is_set():
        raise StepError(f"The build of the {what} was stopped.\nThe same command builds it.")
