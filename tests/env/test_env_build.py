"""Environments are built once, are ready only when whole, and say what is wrong. A wheel made here is all they hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tiny_index import TinyIndex, make_wheel

from wmsforge.env import commands
from wmsforge.env.build import READY, build, differences, find, folder_of, remove
from wmsforge.env.locks import EnvironmentOffer, Lock, read_pins
from wmsforge.errors import PluginError, StepError

ROOT = Path(__file__).parents[2]
OFFER = EnvironmentOffer("tiny", "wmsforge:locks", "tiny", "For tests.", "wmsforge-tiny")
pytestmark = pytest.mark.usefixtures("untold")


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
    builder: str, tmp_path: Path, wheels: Path
) -> None:
    lock, said = lock_of(tmp_path, "# a comment\ntinydep==1.0\n"), list[str]()
    assert find(OFFER, lock) is None
    built = build(OFFER, lock, said.append, wheels)
    assert find(OFFER, lock) == built and built.folder == folder_of(OFFER, lock)
    assert json.loads((built.folder / READY).read_text())["builder"].startswith(builder)
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
build(offer, Lock(lock, read_pins(lock)), print)
"""


def other(builder: str) -> str:
    """Return the variable that names the index to the builder that does not build."""
    return {"pip": "UV_DEFAULT_INDEX", "uv": "PIP_INDEX_URL"}[builder]


def start(lock: Lock, variable: str, index: TinyIndex) -> subprocess.Popen[str]:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), variable: index.url}
    command = [sys.executable, "-u", "-c", BUILD, str(lock.path)]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_builds_and_the_other_waits_and_says_so(
    builder: str, tmp_path: Path, wheels: Path
) -> None:
    lock = lock_of(tmp_path, "tinydep==1.0\n")
    with TinyIndex(wheels) as index:
        index.may_go.clear()
        first = start(lock, other(builder), index)
        assert index.held.wait(30)
        second = start(lock, other(builder), index)
        assert second.stdout is not None and "another process builds it, waiting" in second.stdout.readline()
        index.may_go.set()
        said = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert "installing 1 packages" in said[0] and "ready" in said[0]
    assert said[1] == ""
    assert sum(path.endswith(".whl") for path in index.asked) == 1


def test_a_build_whose_host_is_killed_is_not_built_beside_but_after(
    builder: str, tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, said = lock_of(tmp_path, "tinydep==1.0\n"), list[str]()
    with TinyIndex(wheels) as index:
        index.may_go.clear()
        first = start(lock, other(builder), index)
        assert index.held.wait(30)
        first.kill()
        first.communicate()

        def say(line: str) -> None:
            said.append(line)
            index.may_go.set()

        monkeypatch.setenv(other(builder), index.url)
        built = build(OFFER, lock, say)
    assert said[0].endswith("another process builds it, waiting")  # what the dead one started holds the lock
    assert "installing 1 packages" in said[1]
    assert differences(built.python, lock) == []


def test_a_build_can_be_stopped(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, stop = lock_of(tmp_path, "tinydep==1.0\n"), threading.Event()
    monkeypatch.setattr(commands, "POLL_S", 0.02)
    with pytest.raises(StepError, match=r"was stopped\.\n"):
        build(OFFER, lock, lambda line: stop.set(), wheels, stop)
    assert find(OFFER, lock) is None


def test_a_line_that_is_no_pin_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"cpu\.txt:2: a lock holds lines such as name==1\.2\.3, found 'b>=1'"):
        lock_of(tmp_path, "a==1\nb>=1\n")
