"""Whether a Python of the user's own can run a job."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from wmsforge.env.locks import Lock, normal
from wmsforge.steps.machine import Finding

OLDEST = (3, 11)
TIMEOUT_S = 60.0
NAMED = 5
_ASK = """
import json, sys
names = []
if sys.version_info >= (3, 11):
    import importlib.metadata
    names = [dist.name for dist in importlib.metadata.distributions() if dist.name]
print(json.dumps([list(sys.version_info[:3]), names]))
"""


def check_python(python: Path, option: str, lock: Lock | None) -> Iterator[Finding]:
    """Yield whether it is there, runs, is new enough, and has the packages of the plugin's own environment.

    Args:
        option: What the recipe writes, for messages.
        lock: Of the environment that it stands for; None if there is none for this machine.
    """
    remedy = "Correct the step's option env, or leave it out: the plugin's own environment is built then."
    path = python.expanduser()
    if not path.is_file():
        yield Finding("error", f"{option}: there is no file {str(path)!r}", remedy)
        return
    try:
        told = subprocess.run(
            [str(path), "-c", _ASK],
            capture_output=True,
            text=True,
            check=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
        version, names = json.loads(told.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        yield Finding("error", f"{option}: {str(path)!r} does not run as a Python: {error}", remedy)
        return
    shown = ".".join(map(str, version))
    if tuple(version[:2]) < OLDEST:
        wanted = "{}.{}".format(*OLDEST)
        yield Finding("error", f"{option}: {str(path)!r} is Python {shown}, and a job needs {wanted} or newer", remedy)
        return
    there = {normal(name) for name in names}
    # CUDA's libraries come with some builds of torch, and by other ways than packages.
    missing = [name for name in (lock.pins if lock else ()) if name not in there and not name.startswith("nvidia-")]
    if missing:
        named = ", ".join(missing[:NAMED]) + (f" and {len(missing) - NAMED} more" if len(missing) > NAMED else "")
        yield Finding(
            "warning",
            f"{option}: {str(path)!r} (Python {shown}) lacks packages that the lock pins: {named}",
            f"Install what the job needs: {path} -m pip install -r {lock.path if lock else ''}",
        )
    else:
        yield Finding("ok", f"{option}: {str(path)!r} is Python {shown}")
