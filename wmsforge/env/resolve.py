"""Asks the package index whether it has all that a lock pins, for this Python and platform. No environment is built."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from wmsforge.env.installers import Installer, pip_download
from wmsforge.env.locks import Lock
from wmsforge.errors import StepError

TIMEOUT_S = 180.0
QUOTED_LINES = 4
METADATA_ONLY = (25, 3)
"""The pip that resolves by the index's metadata. Older ones download every package for it, gigabytes for CUDA.
Source: pip's pull request 13482, first released in 25.3."""
_PIP = [sys.executable, "-m", "pip"]


class CannotTellError(StepError):
    """The index cannot be asked; that says nothing about whether the environment can be built."""


@contextlib.contextmanager
def resolver() -> Iterator[Callable[[Lock], str]]:
    """Give a function that returns pip's last words where a lock does not resolve, empty where it does.

    It takes seconds: pip asks with what it and uv were told, and reads the metadata of each pin, of indexes without
    metadata files the package itself. Where the pip here is older than 25.3, a newer one is put into a temporary
    folder, from the same index.

    Raises:
        CannotTellError: If there is no pip, or no newer one to be had, or settings cannot be read.
    """
    try:
        pip = pip_download()
    except StepError as error:
        raise CannotTellError(str(error)) from error
    told = subprocess.run([*_PIP, "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"pip (\d+)\.(\d+)", told.stdout)
    if found is None:
        raise CannotTellError("the Python that runs wmsforge has no pip\npython -m ensurepip")
    if (int(found[1]), int(found[2])) >= METADATA_ONLY:
        yield partial(_failure, pip, "")
        return
    with tempfile.TemporaryDirectory(prefix="wmsforge-pip-") as folder:
        wanted = "pip>={}.{}".format(*METADATA_ONLY)
        said = _run(["install", "--no-deps", "--target", folder, wanted], pip, "")
        if said:
            why = f"{found[0]} would download every package to tell, and a newer one is not to be had: {said}"
            raise CannotTellError(f"{why}\npython -m pip install --upgrade pip")
        yield partial(_failure, pip, folder)


def _failure(pip: Installer, folder: str, lock: Lock) -> str:
    return _run(["install", "--dry-run", "--no-deps", "--ignore-installed", "-r", str(lock.path)], pip, folder)


def _run(arguments: Sequence[str], pip: Installer, folder: str) -> str:
    """Run the pip here, or the one in a folder; return its last words if it fails."""
    # One try more and not five: where there is no network, this is to say so before long.
    command = [*_PIP, *arguments, "--no-input", "--retries", "1"]
    variables = {**pip.variables, "PYTHONPATH": folder} if folder else pip.variables
    try:
        told = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=variables,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"pip did not end in {TIMEOUT_S:.0f} s"
    if not told.returncode:
        return ""
    return pip.mask(_last_words(told))  # a password in an index's address


def _last_words(told: subprocess.CompletedProcess[str]) -> str:
    """Return which requests contradict each other, a constraint's among them, and what pip calls an error."""
    requests = [line.strip() for line in told.stdout.splitlines() if line.strip().startswith("The user requested")]
    lines = [line.strip() for line in told.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return " ".join(requests + errors[-QUOTED_LINES:]) or f"pip ended with {told.returncode}"
