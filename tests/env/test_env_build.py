"""Environments are built once, are ready only when whole, and say what is wrong. A wheel made here is all they hold."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from wmsforge.env import build as building
from wmsforge.env.build import READY, build, differences, find, folder_of, remove
from wmsforge.env.locks import EnvironmentOffer, Lock, read_pins
from wmsforge.errors import PluginError, StepError

ROOT = Path(__file__).parents[2]
OFFER = EnvironmentOffer("tiny", "wmsforge:locks", "tiny", "For tests.", "wmsforge-tiny")


def make_wheel(folder: Path, version: str) -> None:
    """A pure-Python wheel `tinydep` that says its version."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"tinydep-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tinydep-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinydep.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinydep\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        names = ["tinydep.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"]
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WMSFORGE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path / "wheels", version)
    return tmp_path / "wheels"


def lock_of(tmp_path: Path, text: str) -> Lock:
    path = tmp_path / "cpu.txt"
    path.write_text(text, encoding="utf-8")
    return Lock(path, read_pins(path))


def test_an_environment_is_built_from_wheels_alone_found_again_checked_and_removed(
    tmp_path: Path, wheels: Path
) -> None:
    lock, said = lock_of(tmp_path, "# a comment\ntinydep==1.0\n"), list[str]()
    assert find(OFFER, lock) is None
    built = build(OFFER, lock, said.append, wheels)
    assert find(OFFER, lock) == built and built.folder == folder_of(OFFER, lock)
    version = [str(built.python), "-c", "import tinydep; print(tinydep.version)"]
    assert subprocess.run(version, capture_output=True, text=True, check=True).stdout == "1.0\n"
    assert differences(built.python, lock) == []
    said.clear()
    assert build(OFFER, lock, said.append) == built and not said  # nothing to do, and no index was asked
    next(built.folder.glob("lib/*/site-packages/tinydep-1.0.dist-info/METADATA")).unlink()
    assert differences(built.python, lock) == ["tinydep is missing instead of 1.0"]
    assert remove("tiny") == [built.folder] and find(OFFER, lock) is None


def test_another_lock_is_another_environment_and_a_comment_is_not(tmp_path: Path) -> None:
    digests = [lock_of(tmp_path, text).digest for text in ("tinydep==1.0", "# x\ntinydep==1.0\n", "tinydep==2.0")]
    assert digests[0] == digests[1] != digests[2]


def test_what_cannot_be_installed_is_told_with_the_installers_words_and_the_log(tmp_path: Path, wheels: Path) -> None:
    lock = lock_of(tmp_path, "tinydep==3.0\n")
    with pytest.raises(StepError, match=r"could not be built: (.|\n)*tinydep==3\.0(.|\n)*whole log: .*\.log\n"):
        build(OFFER, lock, lambda line: None, wheels)
    assert find(OFFER, lock) is None


def test_what_a_killed_build_left_is_not_ready_and_is_built_anew(tmp_path: Path, wheels: Path) -> None:
    lock = lock_of(tmp_path, "tinydep==1.0\n")
    torn = folder_of(OFFER, lock)
    (torn / "bin").mkdir(parents=True)
    (torn / "bin" / "python").symlink_to(sys.executable)
    (torn / "rubbish").touch()
    assert find(OFFER, lock) is None
    built = build(OFFER, lock, lambda line: None, wheels)
    assert (built.folder / READY).is_file() and not (built.folder / "rubbish").exists()


BUILD = """
import sys
from pathlib import Path
from wmsforge.env.build import build
from wmsforge.env.locks import EnvironmentOffer, Lock, read_pins
lock = Path(sys.argv[1])
offer = EnvironmentOffer("tiny", "wmsforge:locks", "tiny", "For tests.", "wmsforge-tiny")
build(offer, Lock(lock, read_pins(lock)), print, Path(sys.argv[2]))
"""


def start(lock: Lock, wheels: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", BUILD, str(lock.path), str(wheels)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_builds_and_the_other_waits_and_says_so(tmp_path: Path, wheels: Path) -> None:
    lock = lock_of(tmp_path, "tinydep==1.0\n")
    both = [start(lock, wheels), start(lock, wheels)]
    said = sorted(process.communicate(timeout=120)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert "another process builds it, waiting" in said[0] and "installing" not in said[0]
    assert "installing 1 packages" in said[1] and "ready" in said[1]


def test_a_build_whose_host_is_killed_is_not_built_beside_but_after(tmp_path: Path, wheels: Path) -> None:
    lock = lock_of(tmp_path, "tinydep==1.0\n")
    first = start(lock, wheels)
    while not folder_of(OFFER, lock).exists():
        time.sleep(0.01)
    first.kill()
    first.communicate()
    said = list[str]()
    built = build(OFFER, lock, said.append, wheels)
    assert differences(built.python, lock) == []
    assert said[0].endswith("another process builds it, waiting")  # the installer goes on and holds the lock


def test_a_build_can_be_stopped(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, stop = lock_of(tmp_path, "tinydep==1.0\n"), threading.Event()
    monkeypatch.setattr(building, "POLL_S", 0.02)
    with pytest.raises(StepError, match=r"was stopped\.\n"):
        build(OFFER, lock, lambda line: stop.set(), wheels, stop)
    assert find(OFFER, lock) is None


def test_a_line_that_is_no_pin_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"cpu\.txt:2: a lock holds lines such as name==1\.2\.3, found 'b>=1'"):
        lock_of(tmp_path, "a==1\nb>=1\n")
