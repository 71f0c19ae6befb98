"""Locks: the exact versions of an environment, shipped in the plugin that owns it."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wmsforge.errors import PluginError

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")


@dataclass(frozen=True)
class EnvironmentOffer:
    """One environment that a plugin offers."""

    name: str
    target: str
    """"module:folder": the package, and the folder in it that holds the locks `cpu.txt` and `cuda.txt`."""
    extra: str
    """The extra of the plugin's distribution that the locks pin."""
    summary: str
    plugin: str

    @property
    def package(self) -> str:
        return self.target.partition(":")[0]


@dataclass(frozen=True)
class Lock:
    """The exact versions of one environment on one kind of machine."""

    path: Path
    pins: Mapping[str, str]
    """Normal name of a distribution -> its version."""

    @property
    def digest(self) -> str:
        """Tells environments apart: the lines that count, the Python and the platform; 16 hex digits."""
        lines = [line for line in map(str.strip, self.path.read_text("utf-8").splitlines()) if line and line[0] != "#"]
        python = "{}.{}".format(*sys.version_info[:2])
        told = [*lines, python, platform.system(), platform.machine(), sys.implementation.name]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def find_lock(offer: EnvironmentOffer, kind: str) -> Lock:
    """Return the lock for `kind`: "cpu", "cuda", or "auto" for what this machine has.

    Raises:
        PluginError: If the plugin ships none for it.
    """
    folder = package_folder(offer.package) / offer.target.partition(":")[2]
    there = sorted(path.stem for path in folder.glob("*.txt"))
    wanted = machine() if kind == "auto" else kind
    path = folder / f"{wanted}.txt"
    if not path.is_file():
        raise PluginError(
            f"The environment {offer.name!r} of {offer.plugin} has no lock for {wanted}; it has {', '.join(there)}.\n"
            f"Choose one with the step's option env, or name a Python of your own: env: {{python: /path/to/python}}"
        )
    return Lock(path, read_pins(path))


def read_pins(path: Path) -> dict[str, str]:
    """Return what a lock pins.

    Raises:
        PluginError: If a line is neither a pin, a comment nor an option of pip.
    """
    pins = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        text = line.strip().removesuffix("\\").strip()
        if not text or text.startswith(("#", "--")):
            continue
        found = _PIN.match(text)
        if found is None:
            raise PluginError(f"{path}:{number}: a lock holds lines such as name==1.2.3, found {text!r}.")
        pins[normal(found[1])] = found[2]
    return pins


def machine() -> str:
    """Return "cuda" where an NVIDIA driver is installed, else "cpu"."""
    return "cuda" if shutil.which("nvidia-smi") and Path("/dev/nvidiactl").exists() else "cpu"


def package_folder(package: str) -> Path:
    """Return the folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PluginError(f"The package {package!r} is not installed.")
    return Path(next(iter(spec.submodule_search_locations)))


def normal(name: str) -> str:
    """Return a distribution's name as all tools write it."""
    return re.sub(r"[-_.]+", "-", name).lower()
