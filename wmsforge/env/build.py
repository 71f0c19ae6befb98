"""Builds environments: a virtual environment from a lock, once, and marked as ready only when it is whole."""

from __future__ import annotations

import contextlib
import fcntl
import json
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wmsforge.env import commands
from wmsforge.env.commands import Surroundings, check_stop, run_command
from wmsforge.env.installers import installer, pip_download
from wmsforge.env.locks import EnvironmentOffer, Lock, normal
from wmsforge.errors import StepError
from wmsforge.files import write_atomically
from wmsforge.home import home

READY = "wmsforge.json"
"""The marker, written last; it says what the environment was built from."""
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

    uv does the work where it is installed, else pip; both with what either was told, see `indexes`.

    Args:
        say: Told what is going on, a line at a time.
        wheels: A folder of wheels to take everything from, without any index.
        stop: Set by another thread to end the build; what there is of it is not ready and is made anew.

    Raises:
        StepError: If the builder fails or is stopped; names the log.
    """
    folder = folder_of(offer, lock)
    folder.parent.mkdir(parents=True, exist_ok=True)
    waits = f"environment {offer.name}: another process builds it, waiting"
    with _alone(folder.with_suffix(".lock"), lambda: say(waits), stop) as held:
        ready = find(offer, lock)
        if ready is not None:
            return ready
        builder = installer()
        say(f"environment {offer.name}: installing {len(lock.pins)} packages with {builder.name} into {folder}")
        shutil.rmtree(folder, ignore_errors=True)  # what a killed build left
        log = folder.with_suffix(".log")
        log.write_bytes(b"")
        around = Surroundings(_named(offer), log, builder.variables, builder.mask, held, stop)
        for command in builder.commands(folder, lock.path, wheels):
            run_command(command, around)
        python = folder / "bin" / "python"
        problems = differences(python, lock)
        if problems:
            raise StepError(
                f"The environment {offer.name!r} is not what its lock says: {'; '.join(problems[:5])}.\n"
                f"See what {builder.name} did: {log}"
            )
        facts: dict[str, Any] = {
            "name": offer.name,
            "plugin": offer.plugin,
            "lock": lock.path.name,
            "digest": lock.digest,
            "python": platform.python_version(),
            "builder": builder.version or builder.name,
            "base": str(Path(sys.executable).resolve()),
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomically(folder / READY, json.dumps(facts, indent=2).encode())
        say(f"environment {offer.name}: ready")
        return Built(offer.name, lock.digest, python)


def differences(python: Path, lock: Lock) -> list[str]:
    """Return how what is installed differs from the lock, in words; empty if it does not."""
    try:
        told = subprocess.run([str(python), "-I", "-c", _LIST], capture_output=True, text=True, check=True)
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
    log.write_bytes(b"")
    pip = pip_download()
    command = [sys.executable, "-m", "pip", "download", "--no-input", "--no-deps", "--dest", str(folder)]
    run_command([*command, "-r", str(lock.path)], Surroundings(_named(offer), log, pip.variables, pip.mask))


def remove(name: str) -> list[Path]:
    """Delete all environments of a name, finished or not; return their folders."""
    found = [path for path in (home() / "envs").glob(f"{name}-*") if path.is_dir() and path.name[:-17] == name]
    for folder in found:
        with _alone(folder.with_suffix(".lock"), lambda: None):
            (folder / READY).unlink(missing_ok=True)  # first, so that no one takes half of it for whole
            shutil.rmtree(folder)
        folder.with_suffix(".log").unlink(missing_ok=True)
    return found


def _named(offer: EnvironmentOffer) -> str:
    return f"environment {offer.name!r} of {offer.plugin}"


@contextlib.contextmanager
def _alone(path: Path, waits: Callable[[], None], stop: threading.Event | None = None) -> Iterator[int]:
    """Hold a file lock, whose descriptor it gives; say so once when another process has it."""
    with path.open("a") as file:
        told = False
        while not _taken(file.fileno()):
            if not told:
                waits()
                told = True
            check_stop(stop, f"environment {path.stem!r}")
            (stop or threading.Event()).wait(commands.POLL_S)
        yield file.fileno()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
