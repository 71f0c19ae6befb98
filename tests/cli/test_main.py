"""The command line as a whole: what it imports, what it says of mistakes, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import click
import pytest
from cli_project import Project
from click.testing import CliRunner

from wmsforge import __version__
from wmsforge.cli import COMMANDS, main
from wmsforge.errors import ParkedError

HEAVY = ("pydantic", "pydantic_core", "asyncio", "yaml", "rich", "pluggy", "httpx", "llama_index", "faiss", "torch")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["rnu"]])
def test_help_imports_neither_commands_nor_heavy_libraries(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom wmsforge.cli import main\n"
        f"try:\n    main({arguments!r})\n"
        "finally:\n    print('loaded:', *sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = set(done.stderr.rpartition("loaded: ")[2].split())
    assert "click" in loaded
    assert not loaded & set(HEAVY)
    assert {name for name in loaded if name.startswith("wmsforge")} <= {"wmsforge", "wmsforge.cli", "wmsforge.errors"}
    # Reading every installed distribution's metadata is what makes a command line slow; only plugins need it.
    assert "wmsforge.plugins" not in loaded


def test_help_names_every_command_with_its_line() -> None:
    help = CliRunner().invoke(main, ["--help"]).output
    width = max(map(len, COMMANDS)) + 2
    for name, (_, line) in COMMANDS.items():
        assert f"  {name:<{width}}{line}" in help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_under_its_name(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_version() -> None:
    assert CliRunner().invoke(main, ["--version"], prog_name="wmsforge").output == f"wmsforge {__version__}\n"


def test_a_misspelt_command_is_told_with_close_names() -> None:
    done = CliRunner().invoke(main, ["chekc"], prog_name="wmsforge")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == "Error: no command is called 'chekc'. Did you mean 'check'?"


def test_an_error_is_its_message_on_stderr_and_its_exit_code(project: Project) -> None:
    out, err = project.run("--no-plugin", "nowhere", "plugins", code=3)
    assert out == ""
    assert err == "Plugin 'nowhere' is not installed.\nList what is: wmsforge plugins\n"


def test_debug_adds_the_traceback(project: Project) -> None:
    _, err = project.run("--debug", "--no-plugin", "nowhere", "plugins", code=3)
    assert err.startswith("Traceback (most recent call last):")
    assert "wmsforge.errors.PluginError: Plugin 'nowhere' is not installed." in err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """Make `check` raise what the test puts in here."""
    raises: dict[str, BaseException] = {}

    @click.command()
    def command() -> None:
        raise raises["error"]

    monkeypatch.setattr(main, "get_command", lambda ctx, name: command)
    return raises


def test_the_exit_code_is_that_of_the_error_and_control_characters_do_not_reach_the_terminal(
    failing: dict[str, BaseException],
) -> None:
    failing["error"] = ParkedError("The quota of \x1b[31mtoday is used up.")
    done = CliRunner().invoke(main, ["check"])
    assert (done.exit_code, done.stderr) == (5, "The quota of \ufffd[31mtoday is used up.\n")


def test_an_interrupt_ends_with_130(failing: dict[str, BaseException]) -> None:
    failing["error"] = KeyboardInterrupt()
    done = CliRunner().invoke(main, ["check"])
    assert (done.exit_code, done.stderr) == (130, "Interrupted.\n")


def test_a_fault_of_our_own_is_not_hidden(failing: dict[str, BaseException]) -> None:
    failing["error"] = ZeroDivisionError("a bug")
    assert isinstance(CliRunner().invoke(main, ["check"]).exception, ZeroDivisionError)


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_a_reader_that_goes_away_is_no_error(project: Project) -> None:
    process = project.start("components")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=30)
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    assert process.returncode in (1, -signal.SIGPIPE)
