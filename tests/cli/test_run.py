"""`wmsforge run` as its users meet it: a process with two output streams, an exit code and signals."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from cli_project import Project


def test_a_run_says_what_each_step_did_and_what_came_of_it(project: Project) -> None:
    out, err = project.run("run", "recipe.yaml")
    assert out.splitlines() == [
        "dataset: out/data.json, 16 rows",
        "answers rejected 2 of 20: refused 2",
        "kept rejected 2 of 18: bad_ending 2",
        "cost unknown; of this run: unknown",
        "next: wmsforge peek recipe.yaml dataset",
        "      wmsforge peek recipe.yaml answers --rejected",
    ]
    lines = re.sub(r"\d+\.\d s", "T s", err).splitlines()
    assert "answers started (answer_generator/ask): not done yet" in lines
    assert "answers done: 20 in, 18 out, 2 rejected, T s, 600 tokens, cost unknown" in lines
    assert "kept done: 18 in, 16 out, 2 rejected, T s" in lines
    assert "dataset done: 16 in, out/data.json (16 rows), T s" in lines
    assert "warning: answers: the passages are \ufffd[31mred\ufffd[0m" in lines
    assert len(json.loads((project.folder / "out/data.json").read_text(encoding="utf-8"))) == 16


def test_a_run_with_nothing_to_do_says_so_in_one_line(project: Project) -> None:
    project.run("run", "recipe.yaml")
    out, err = project.run("run", "recipe.yaml")
    assert err == "Nothing to run: all 6 steps of recipe.yaml are done and unchanged.\n"
    assert out.startswith("dataset: out/data.json, 16 rows\n")


def test_a_changed_option_runs_what_depends_on_it_and_makes_no_call_again(project: Project) -> None:
    project.run("run", "recipe.yaml")
    _, err = project.run("run", "recipe.yaml", "--set", "steps.answers.refuse=9?")
    assert "questions reused: 20 records" in err
    assert "answers started (answer_generator/ask): refuse: '7?' -> '9?'" in err
    assert re.search(r"answers done: 20 in, 18 out, 2 rejected, [\d.]+ s, 20 calls reused\n", err)
    assert len(project.calls()) == 20


def test_until_from_and_limit_choose_what_runs(project: Project) -> None:
    out, _ = project.run("run", "recipe.yaml", "--until", "questions")
    assert out.splitlines() == [
        "questions: 20 records in .wmsforge/tests/steps/questions",
        "next: wmsforge peek recipe.yaml questions",
    ]
    out, err = project.run("run", "recipe.yaml", "--limit", "3")
    assert "recipe.yaml, a preview of 3 questions\n" in err
    assert "next: wmsforge peek recipe.yaml dataset --preview" in out.splitlines()
    assert len(project.calls()) == 3
    _, err = project.run("run", "recipe.yaml", "--from", "kept", "--until", "kept")
    assert "kept started (filter/ending): asked for by --from" in err
    assert len(project.calls()) == 20


def test_a_mistake_in_the_recipe_runs_nothing(project: Project) -> None:
    project.write_recipe(count=0)
    out, err = project.run("run", "recipe.yaml", code=2)
    assert out == ""
    assert "recipe.yaml has 1 error; nothing was run." in err
    assert not (project.folder / ".wmsforge").exists()


def test_a_step_that_fails_ends_the_run_with_the_way_to_see_why(project: Project) -> None:
    project.write_recipe(refuse="?")
    _, err = project.run("run", "recipe.yaml", code=4)
    assert "Step 'answers' kept none of 20 items; main reasons 'refused' (20).\n" in err
    assert err.rstrip().endswith("See them: wmsforge peek recipe.yaml answers --rejected")
    assert "Traceback" not in err
    out, _ = project.run("peek", "recipe.yaml", "answers", "--rejected", "-n", "1")
    assert out.startswith(
        "answers is not finished: it is running, was stopped or failed. These are its records so far."
    )
    assert "rejected: refused: it holds '?'" in out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_the_same_command_continues(
    project: Project, number: signal.Signals, code: int
) -> None:
    project.write_recipe(delay_s=0.05, count=100)
    command = ("run", "recipe.yaml", "--set", "seed=7", "--workspace", "a place")
    process = project.start(*command)
    project.wait_for(lambda: len(project.calls()) >= 8, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert err.splitlines()[-3:] == [
        "cost unknown; of this run: unknown",
        "Nothing is lost: finished steps and answered model calls are in a place.",
        "Continue: python -m wmsforge run recipe.yaml --set seed=7 --workspace 'a place'",
    ]
    before = len(project.calls())
    assert 8 <= before < 100
    project.run(*command)
    calls = project.calls()
    assert len(set(calls)) == 100
    assert len(calls) <= 100 + 4, "only the calls in flight may be made again"


def test_a_second_signal_kills_at_once(project: Project) -> None:
    project.write_recipe(pause_s=30)
    process = project.start("run", "recipe.yaml")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("documents started"):
            break
    time.sleep(0.2)  # until the loader sleeps, where no one can interrupt it
    process.send_signal(signal.SIGINT)
    assert any("Ctrl-C again kills at once" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == -signal.SIGINT


def test_a_second_process_is_told_who_works_in_the_workspace(project: Project) -> None:
    project.write_recipe(delay_s=0.2, count=200)
    process = project.start("run", "recipe.yaml")
    project.wait_for(lambda: len(project.calls()) >= 1, process)
    out, err = project.run("run", "recipe.yaml", code=4)
    assert err.splitlines() == [
        f"The workspace .wmsforge is in use by process {process.pid} (wmsforge run recipe.yaml).",
        "Wait for it or stop it, or work in another place: --workspace DIR",
    ]
    assert out == ""


def test_servers_stay_up_until_ctrl_c_and_are_then_stopped(project: Project) -> None:
    project.write_recipe(more="  adapter: {use: memory, from: dataset}\n  api: {use: idle, from: adapter}\n")
    process = project.start("run", "recipe.yaml")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("api is at"):
            break
    assert line == "api is at http://127.0.0.1:9\n"
    assert process.stderr.readline() == "Ctrl-C stops it.\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert (project.folder / "server-stopped").exists()
    assert "dataset: out/data.json, 16 rows" in out.splitlines()
    assert "127.0.0.1" not in out, "it is not there any more"


def test_a_terminal_gets_a_table_that_changes_in_place(project: Project) -> None:
    project.write_recipe(delay_s=0.1, count=20)
    master, slave = pty.openpty()
    project.environment |= {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = project.start("run", "recipe.yaml", stdout=slave, stderr=slave, stdin=slave)
    os.close(slave)
    screen = _read_all(master, process)
    assert process.wait() == 0, screen
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
    assert re.search(r"answers +ask +running \d+%", plain)
    assert re.search(r"answers +ask +done +20 +18 +2 +20 +[\d,]+ tok/s +\d\.\ds", plain)
    assert "dataset: out/data.json, 16 rows" in plain
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "\x1b[31mred" not in screen


def _read_all(master: int, process: "subprocess.Popen[str]") -> str:
    parts: list[bytes] = []
    while select.select([master], [], [], 30)[0]:
        try:
            parts.append(os.read(master, 65536))
        except OSError:  # how Linux says that the other end is closed
            break
    os.close(master)
    return b"".join(parts).decode()


assert sys.platform != "win32", "the tests of signals and terminals are for POSIX"
