"""Builds environments: a virtual environment from a lock, once, and marked as ready only when it is whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wmsforge.env.locks import EnvironmentOffer, Lock, normal
from wmsforge.errors import StepError
from wmsforge.files import write_atomically
from wmsforge.home import home

READY = "wmsforge.json"
"""The marker, written last; it says what the environment was built from."""
QUOTED_LINES = 12
POLL_S = 0.1
_LIST = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"


@dataclass(frozen=True)
class Built:
    """A ready environment."""

    name: str
    digest: str
    python: Path

    @property
    def folder(self) -> Path:
        return self.python.parent.parent


def folder_of(offer: EnvironmentOffer, lock: Lock) -> Path:
    """Return where the environment is, or would be."""
    return home() / "envs" / f"{offer.name}-{lock.digest}"


def find(offer: EnvironmentOffer, lock: Lock) -> Built | None:
    """Return the environment if it is ready."""
    folder = folder_of(offer, lock)
    python = folder / "bin" / "python"
    return Built(offer.name, lock.digest, python) if (folder / READY).is_file() and python.exists() else None


def build(
    offer: EnvironmentOffer,
    lock: Lock,
    say: Callable[[str], None],
    wheels: Path | None = None,
    stop: threading.Event | None = None,
) -> Built:
    """Build it, or wait for another process that does; return it when it is ready.

    pip does the work, with all of its own settings: index, find-links, proxy, certificates, constraints.

    Args:
        say: Told what is going on, a line at a time.
        wheels: A folder of wheels to take everything from, without any index.
        stop: Set by another thread to end the build; what there is of it is not ready and is made anew.

    Raises:
        StepError: If pip fails or is stopped; names the log.
    """
    folder = folder_of(offer, lock)
    folder.parent.mkdir(parents=True, exist_ok=True)
    waits = f"environment {offer.name}: another process builds it, waiting"
    with _alone(folder.with_suffix(".lock"), lambda: say(waits), stop) as held:
        ready = find(offer, lock)
        if ready is not None:
            return ready
        say(f"environment {offer.name}: installing {len(lock.pins)} packages into {folder}")
        shutil.rmtree(folder, ignore_errors=True)  # what a killed build left
        log = folder.with_suffix(".log")
        with log.open("wb") as out:
            _run([sys.executable, "-m", "venv", str(folder)], out, log, offer, held, stop)
            python = folder / "bin" / "python"
            offline = [] if wheels is None else ["--no-index", "--find-links", str(wheels.absolute())]
            command = [str(python), "-m", "pip", "install", "--no-input", "--no-deps", *offline, "-r", str(lock.path)]
            _run(command, out, log, offer, held, stop)
        problems = differences(python, lock)
        if problems:
            raise StepError(
                f"The environment {offer.name!r} is not what its lock says: {'; '.join(problems[:5])}.\n"
                f"See what pip did: {log}"
            )
        facts: dict[str, Any] = {
            "name": offer.name,
            "plugin": offer.plugin,
            "lock": lock.path.name,
            "digest": lock.digest,
            "python": platform.python_version(),
            "base": str(Path(sys.executable).resolve()),
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomically(folder / READY, json.dumps(facts, indent=2).encode())
        say(f"environment {offer.name}: ready")
        return Built(offer.name, lock.digest, python)


def differences(python: Path, lock: Lock) -> list[str]:
    """Return how what is installed differs from the lock, in words; empty if it does not."""
    try:
        told = subprocess.run([str(python), "-c", _LIST], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return [f"its Python does not run ({error}); the one it was made from may have been moved"]
    there = {normal(name): version or "" for name, version in json.loads(told.stdout) if name}  # no name: torn
    return [
        f"{name} {there.get(name, 'is missing')} instead of {version}"
        for name, version in lock.pins.items()
        if there.get(name, "").partition("+")[0] != version.partition("+")[0]
    ]


def download(offer: EnvironmentOffer, lock: Lock, folder: Path, say: Callable[[str], None]) -> None:
    """Collect the wheels of a lock for a machine without network.

    Raises:
        StepError: If pip fails; names the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    say(f"environment {offer.name}: downloading {len(lock.pins)} packages into {folder}")
    log = folder / "download.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps", "--dest", str(folder)]
        _run([*command, "-r", str(lock.path)], out, log, offer)


def remove(name: str) -> list[Path]:
    """Delete all environments of a name, finished or not; return their folders."""
    found = [path for path in (home() / "envs").glob(f"{name}-*") if path.is_dir() and path.name[:-17] == name]
    for folder in found:
        with _alone(folder.with_suffix(".lock"), lambda: None):
            (folder / READY).unlink(missing_ok=True)  # first, so that no one takes half of it for whole
            shutil.rmtree(folder)
        folder.with_suffix(".log").unlink(missing_ok=True)
    return found


def _run(
    command: list[str],
    out: Any,
    log: Path,
    offer: EnvironmentOffer,
    held: int | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a command to its end.

    Args:
        held: Descriptor of a file lock that the command keeps when this process is killed: no one builds beside it.
    """
    variables = {**os.environ, "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        env=variables,
        pass_fds=() if held is None else (held,),
        start_new_session=True,  # so that all of it can be ended
    )
    try:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
            _check_stop(stop, offer.name)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        last = log.read_text("utf-8", errors="replace").splitlines()[-QUOTED_LINES:]
        raise StepError(
            f"The environment {offer.name!r} of {offer.plugin} could not be built: "
            f"{Path(command[0]).name} {' '.join(command[1:5])} ... ended with {process.returncode}.\n"
            + "\n".join(f"  {line}" for line in last)
            + f"\nThe whole log: {log}\nMend this (network, index, disk) and run the same command again."
        )


@contextlib.contextmanager
def _alone(path: Path, waits: Callable[[], None], stop: threading.Event | None = None) -> Iterator[int]:
    """Hold a file lock, whose descriptor it gives; say so once when another process has it."""
    with path.open("a") as file:
        told = False
        while not _taken(file.fileno()):
            if not told:
                waits()
                told = True
            _check_stop(stop, path.stem)
            (stop or threading.Event()).wait(POLL_S)
        yield file.fileno()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_stop(stop: threading.Event | None, name: str) -> None:
    if stop is not None and stop.is_set():
        raise StepError(f"The build of the environment {name!r} was stopped.\nThe same command builds it.")
