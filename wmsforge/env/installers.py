"""The two that build environments: venv with pip, and uv. Each is told what the other was told, see `indexes`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wmsforge.env.pip_settings import for_pip, site_file, told_to_pip
from wmsforge.env.uv_settings import for_uv, told_to_uv
from wmsforge.errors import StepError
from wmsforge.masking import Mask

BUILDER = "WMSFORGE_BUILDER"
OLDEST_UV = (0, 5)
"""Older ones do not know all the variables that tell uv what pip was told, and would ask other indexes."""


@dataclass(frozen=True)
class Installer:
    """One builder with its settings.

    Args:
        variables: What its commands run with: what the other was told is among them.
        mask: Takes the passwords that either was told out of what it prints.
        uv: The program, empty for venv with pip.
        version: Of uv, as it says it.
        no_index: Whether uv is to leave all indexes aside, which no variable tells it.
    """

    name: str
    variables: Mapping[str, str]
    mask: Mask
    uv: str = ""
    version: str = ""
    no_index: bool = False

    def commands(self, folder: Path, lock: Path, wheels: Path | None) -> Iterator[list[str]]:
        """Yield what to run, one after another, to have in `folder` what the lock says.

        Args:
            wheels: A folder to take everything from, without any index.
        """
        python = str(folder / "bin" / "python")
        sources = [] if wheels is None else ["--no-index", "--find-links", str(wheels.absolute())]
        if self.uv:
            # A project's own settings of uv do not count for an environment that all projects share.
            apart = ["--no-progress", "--project", str(folder.parent)]
            yield [self.uv, "venv", *apart, "--no-project", "--python", sys.executable, str(folder)]
            if self.no_index and wheels is None:
                sources = ["--no-index"]
            yield [self.uv, "pip", "install", *apart, "--no-deps", *sources, "--python", python, "-r", str(lock)]
            return
        yield [sys.executable, "-m", "venv", str(folder)]
        if site_file().is_file():  # pip reads the settings of the environment that it runs in, which is another now
            (folder / "pip.conf").symlink_to(site_file())
        yield [python, "-m", "pip", "install", "--no-input", "--no-deps", *sources, "-r", str(lock)]


def installer(environ: Mapping[str, str] | None = None) -> Installer:
    """Return uv where it is installed, else venv with pip; the variable `WMSFORGE_BUILDER` names one.

    Raises:
        StepError: If it names uv and there is none, or something else; or settings cannot be read.
    """
    environ = os.environ if environ is None else environ
    named = environ.get(BUILDER, "")
    if named not in ("", "pip", "uv"):
        raise StepError(f"{BUILDER} is {named!r}; it may be pip or uv.\nCorrect it, or leave it out: unset {BUILDER}")
    pip, own = told_to_pip(environ), told_to_uv(environ)
    mask = Mask(dict.fromkeys((*pip.passwords(), *own.passwords()), "***"))
    common = {**environ, "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    common.pop("PYTHONPATH", None)  # pip would take what lies there for installed
    found = {} if named == "pip" else {uv: _version(uv) for uv in _programs(environ)}
    for uv, version in found.items():
        numbers = re.match(r"uv (\d+)\.(\d+)", version)
        if numbers and (int(numbers[1]), int(numbers[2])) >= OLDEST_UV:
            variables = {**common, **for_uv(pip, own)}
            return Installer("uv", variables, mask, uv, version, own.no_index or pip.without(own).no_index)
    if named == "uv":
        says = "; ".join(f"{uv} says {version!r}" for uv, version in found.items())
        raise StepError(
            f"{BUILDER} asks for uv, at least {'.'.join(map(str, OLDEST_UV))}; "
            f"{says or 'there is none, neither on PATH nor as a package beside wmsforge'}.\n"
            f"Install it: {sys.executable} -m pip install uv"
        )
    return Installer("pip", {**common, **for_pip(own, pip)}, mask)


def pip_download(environ: Mapping[str, str] | None = None) -> Installer:
    """Return pip, which alone can collect wheels, told as when it builds."""
    return installer({**(os.environ if environ is None else environ), BUILDER: "pip"})


def _programs(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the programs that may be uv: on PATH, and that of a package beside wmsforge."""
    if on_path := shutil.which("uv", path=environ.get("PATH")):
        yield on_path
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin

        with contextlib.suppress(FileNotFoundError):  # the package without its program
            yield str(find_uv_bin())


def _version(uv: str) -> str:
    """Return what it says of itself; a shim of another Python's uv says nothing."""
    try:
        return subprocess.run([uv, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"nothing ({error})"
