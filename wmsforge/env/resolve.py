"""Asks the package index whether it has all that a lock pins, for this Python and platform. Nothing is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from wmsforge.env.locks import Lock

TIMEOUT_S = 180.0
QUOTED_LINES = 4
METADATA_ONLY = (25, 3)
"""The pip that resolves by the index's metadata. Older ones download every package for it, gigabytes for CUDA.
Source: pip's pull request 13482, first released in 25.3."""


def why_not() -> str:
    """Return why this Python cannot resolve cheaply, empty if it can."""
    told = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"pip (\d+)\.(\d+)", told.stdout)
    if found is None:
        return "the Python that runs wmsforge has no pip"
    if (int(found[1]), int(found[2])) < METADATA_ONLY:
        return f"{found[0]} would download every package to tell"
    return ""


def failure(lock: Lock) -> str:
    """Return pip's last words if it cannot resolve the lock, empty if it can; takes seconds.

    pip asks with all its own settings and reads the metadata of each pin. An index without metadata files gives
    it the beginning or the whole of the package instead.
    """
    # One try more and not five: where there is no network, this is to say so before long.
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed", "--no-input"]
    command += ["--quiet", "--retries", "1", "-r", str(lock.path)]
    variables = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
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
    lines = [line for line in told.stderr.splitlines() if line.strip() and not line.startswith("WARNING: Location")]
    last = " ".join(line.strip() for line in lines[-QUOTED_LINES:]) or f"pip ended with {told.returncode}"
    return re.sub(r"//[^/@\s]+@", "//***@", last)  # a password in an index's address
