"""A job in another process: what comes back, what it says when it fails, and that nothing of it survives."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from wmsforge.env import process
from wmsforge.env.masked_log import MaskedLog
from wmsforge.env.process import Job, run_job
from wmsforge.errors import StepError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "wmsforge").symlink_to(ROOT / "wmsforge")
    (folder / "env_jobs.py").symlink_to(HERE / "env_jobs.py")
    return folder


def job(tmp_path: Path, name: str, data: dict[str, Any] | None = None, **more: Any) -> Job:
    return Job("tuned", f"env_jobs:{name}", data or {}, tmp_path / "logs" / "tuned.log", **more)


async def run(code: Path, asked: Job) -> dict[str, Any]:
    async with asyncio.timeout(50):
        return await run_job(Path(sys.executable), code, asked)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pids: list[int]) -> bool:
    for _ in range(100):
        if not any(map(alive, pids)):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_result_progress_notes_and_prints_each_go_their_way(code: Path, tmp_path: Path) -> None:
    told: dict[str, list[Any]] = {"progress": [], "warn": [], "note": [], "hello": []}
    listeners = {name: told[name].append for name in told}
    result = await run(code, job(tmp_path, "double", {"number": 21}, **listeners))
    assert result["doubled"] == 42 and result["pid"] != os.getpid()
    assert told["progress"] == [{"done": 1, "total": 2, "unit": "steps", "facts": {"loss": 0.5}}]
    assert (told["warn"], told["note"]) == (["careful"], ["half way"])
    assert told["hello"][0]["python"] == ".".join(map(str, sys.version_info[:3]))
    log = (tmp_path / "logs" / "tuned.log").read_text()
    assert "a print is for the log" in log and "so is what C code writes" in log


async def test_lines_of_many_megabytes_arrive_whole(code: Path, tmp_path: Path) -> None:
    text = "창고 " * 3_000_000
    assert (await run(code, job(tmp_path, "echo", {"text": text})))["text"] == text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("user_error", r"Step 'tuned': The rows are too long\.\nSet max_length\."),
        (
            "fault",
            r"broke in its environment: ZeroDivisionError: of the job\n(.|\n)*Traceback(.|\n)*whole log: .*log\n",
        ),
        ("no_memory", r"ran out of memory: MemoryError: cannot allocate\.\nChange: batch_size=1\n"),
    ],
)
async def test_errors_say_what_where_and_what_to_do(code: Path, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(StepError, match=message):
        await run(code, job(tmp_path, name, out_of_memory="batch_size=1"))


@pytest.mark.parametrize(
    ("signum", "message"),
    [
        (signal.SIGKILL, r"ran out of memory: its worker was killed \(signal 9\)"),
        (signal.SIGSEGV, r"ended with signal 11 \(SIGSEGV\) before its job was done"),
    ],
)
async def test_a_killed_worker_is_told_with_its_last_words_its_log_and_how_to_go_on(
    code: Path, tmp_path: Path, signum: int, message: str
) -> None:
    with pytest.raises(StepError, match=message) as error:
        await run(code, job(tmp_path, "killed", {"signal": signum}))
    text = str(error.value)
    assert "the last words" in text and str(tmp_path / "logs" / "tuned.log") in text and "The same command" in text


@pytest.mark.parametrize("then", ["die", "return"])
async def test_children_that_a_job_leaves_are_ended_and_do_not_hold_up_the_host(
    code: Path, tmp_path: Path, then: str
) -> None:
    pids, began = tmp_path / "pids", time.monotonic()
    with contextlib.suppress(StepError) if then == "die" else contextlib.nullcontext():
        await run(code, job(tmp_path, "leaves_a_child", {"pids": str(pids), "then": then}))
    assert time.monotonic() - began < 20
    assert await gone([int(pid) for pid in pids.read_text().split()])


async def test_a_job_whose_threads_never_end_gives_its_result(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "EXIT_S", 0.5)
    assert await run(code, job(tmp_path, "never_exits")) == {"done": True}


async def test_a_worker_without_sign_of_life_is_given_up(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_S", 0.2)
    monkeypatch.setattr(process, "TERMINATE_S", 0.2)
    with pytest.raises(StepError, match=r"gave no sign of life for 3 s"):
        await run(code, job(tmp_path, "silent", silence_s=3))


async def _cancelled(code: Path, asked: Job, started: Path) -> None:
    task = asyncio.create_task(run(code, asked))
    async with asyncio.timeout(20):
        while not started.exists():  # noqa: ASYNC110, ASYNC240 - it comes from another process
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_job_is_asked_first_and_may_save(code: Path, tmp_path: Path) -> None:
    data = {"started": str(tmp_path / "started"), "saved": str(tmp_path / "saved")}
    await _cancelled(code, job(tmp_path, "stops_when_asked", data), tmp_path / "started")
    assert (tmp_path / "saved").exists()


async def test_a_cancelled_job_that_does_not_listen_is_killed(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_S", 0.5)
    monkeypatch.setattr(process, "TERMINATE_S", 0.5)
    started = tmp_path / "started"
    await _cancelled(code, job(tmp_path, "deaf", {"started": str(started)}), started)
    assert await gone([int(started.read_text())])


@pytest.mark.parametrize("then", ["raise", "die"])
async def test_a_secret_is_in_no_log_warning_note_or_error(code: Path, tmp_path: Path, then: str) -> None:
    key = 'k3y "with" quotes \\ and 한글'
    told: dict[str, list[str]] = {"warn": [], "note": []}
    listeners = {name: told[name].append for name in told}
    asked = job(tmp_path, "leaks", {"key": key, "then": then}, secrets={key: "${KEY}"}, **listeners)
    with pytest.raises(StepError) as error:
        await run(code, asked)
    log = (tmp_path / "logs" / "tuned.log").read_text()
    assert log.startswith('token ${KEY}, {"t": "${KEY}"}, https://***@host/x\nhalf ${KEY} whole\n')
    assert told == {"warn": ["warned of ${KEY}"], "note": ["noted ${KEY}"]}
    assert ("no newline ${KEY}" if then == "die" else "RuntimeError: refused ${KEY}") in str(error.value)
    assert "k3y" not in str(error.value) + log


async def test_a_log_of_many_lines_and_one_without_end_is_whole(code: Path, tmp_path: Path) -> None:
    await run(code, job(tmp_path, "prints_much", {"key": "k3y-of-mine"}, secrets={"k3y-of-mine": "${KEY}"}))
    *lines, last = (tmp_path / "logs" / "tuned.log").read_text().splitlines()
    assert lines == [f"line {number}" for number in range(200_000)]
    assert last == ("${KEY}" + "." * (1000 - len("k3y-of-mine"))) * 1000


async def test_a_log_that_cannot_be_written_ends_the_job_and_is_told(
    code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(log: MaskedLog, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(MaskedLog, "_write", no_space)
    with pytest.raises(StepError, match=r"exit code 1 (.|\n)*\(the log could not be written: .*No space left"):
        await run(code, job(tmp_path, "prints_much", {"key": "k"}))


async def test_temporary_files_of_a_job_go_with_it(code: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    await run(code, job(tmp_path, "temporary", {"told": str(told), "then": "return"}))
    assert not Path(told.read_text()).parent.exists()
    assert Path(told.read_text()).parent.parent == Path(tempfile.gettempdir())


async def test_temporary_files_go_with_a_host_that_is_killed(code: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = HOST.replace('"pids": sys.argv[2]', '"told": sys.argv[2]').replace("leaves_a_child", "temporary")
    arguments = [sys.executable, "-c", program, str(code), str(told), str(tmp_path / "log")]
    host = subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": str(ROOT)})  # noqa: ASYNC220
    async with asyncio.timeout(30):
        while not told.exists() or not told.read_text():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    host.kill()
    host.wait()
    async with asyncio.timeout(10):
        while Path(told.read_text()).parent.exists():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)


HOST = """
import asyncio, sys
from pathlib import Path
from wmsforge.env.masked_log import MaskedLog
from wmsforge.env.process import Job, run_job
data = {"pids": sys.argv[2], "then": "wait"}
asyncio.run(run_job(Path(sys.executable), Path(sys.argv[1]),
                    Job("tuned", "env_jobs:leaves_a_child", data, Path(sys.argv[3]))))
"""


async def test_worker_and_its_children_die_with_a_host_that_is_killed(code: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    arguments = [sys.executable, "-c", HOST, str(code), str(pids), str(tmp_path / "log")]
    host = subprocess.Popen(arguments, env={**os.environ, "PYTHONPATH": str(ROOT)})  # noqa: ASYNC220
    async with asyncio.timeout(30):
        while not pids.exists() or len(pids.read_text().split()) < 3:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    family = [int(pid) for pid in pids.read_text().split()]
    assert all(map(alive, family))
    host.kill()
    host.wait()
    assert await gone(family)


async def test_a_python_that_does_not_exist_is_named(code: Path, tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"/no/such/python cannot be run: .*\nCorrect the option env"):
        await run_job(Path("/no/such/python"), code, job(tmp_path, "double"))
