"""A small project in a temporary folder, and `wmsforge` as a process of its own in it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECIPE = """\
# What: the tests' recipe.
name: tests
models:
  expert: {{use: echo, delay_s: {delay_s}, concurrency: 4, calls_log: calls.log}}
steps:
  documents: {{use: texts, path: docs, pause_s: {pause_s}}}
  index: {{use: whole, from: documents}}
  questions: {{use: numbered, count: {count}}}
  answers: {{use: ask, from: questions, retriever: index, model: expert, refuse: "{refuse}"}}
  kept: {{use: ending, from: answers, drop: "5?"}}
  dataset: {{use: messages-json, from: kept, path: out/data.json}}
"""


@dataclass
class Project:
    """A folder with documents, a recipe and a plugin of cli_components.py."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write_recipe(
        self, *, delay_s: float = 0, pause_s: float = 0, count: int = 20, refuse: str = "7?", more: str = ""
    ) -> None:
        text = RECIPE.format(delay_s=delay_s, pause_s=pause_s, count=count, refuse=refuse)
        (self.folder / "recipe.yaml").write_text(text + more, encoding="utf-8")

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start `wmsforge` with these arguments; it is killed at the end of the test if it still runs."""
        process = subprocess.Popen(
            [sys.executable, "-m", "wmsforge", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Run `wmsforge`, check its exit code, return stdout and stderr."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, out + err
        return out, err

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments)[0])

    def calls(self) -> list[str]:
        log = self.folder / "calls.log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def wait_for(self, condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait until something is so; fail when the process ends before."""
        deadline = time.monotonic() + 30
        while not condition():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill_all(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate()
