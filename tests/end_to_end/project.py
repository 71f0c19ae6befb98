"""A project in a folder, and `wmsforge` as a process of its own in it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mock_gemini_bodies import SUBJECTS

ROOT = Path(__file__).parents[2]


@dataclass
class Project:
    """A folder with a small manual. `keyword`, which finds its lines, and `lines` are the fixture plugin's."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"{number}번 센터의 {SUBJECTS[number % 8]} 업무는 매월 {number % 28 + 1}일에 점검합니다."
            for number in range(64)
        ]
        (self.folder / "manual.txt").write_text("\n".join(lines), encoding="utf-8")

    def write(self, recipe: str, **values: Any) -> None:
        """Write recipe.yaml; `NAME` in it stands for the value called `name`."""
        for name, value in values.items():
            recipe = recipe.replace(name.upper(), str(value))
        (self.folder / "recipe.yaml").write_text(recipe, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `wmsforge`; what it says is appended to log.txt."""
        environment = {name: value for name, value in os.environ.items() if name != "WMSFORGE_PLUGINS"}
        command = [sys.executable, "-m", "wmsforge", *arguments]
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env={**environment, **self.environment}, stdout=log, stderr=log
            )

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run `wmsforge` to its end, check its exit code and return what it said this time."""
        before = len(self.log())
        process = self.start(*arguments)
        assert process.wait(timeout=600) == code, self.log()[before:]
        return self.log()[before:]

    def log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def ledger(self, query: str) -> list[Any]:
        """Return the rows of a query, none while there is no ledger."""
        path = self.folder / ".wmsforge" / "ledger.sqlite"
        if not path.exists():
            return []
        with sqlite3.connect(path) as database:
            return database.execute(query).fetchall()

    def store(self, recipe: str, step: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the records that a finished step wrote, and those that it rejected."""
        folder = self.folder / ".wmsforge" / recipe / "steps" / step
        parts = sorted(folder.glob("part-*.jsonl"))
        written = [json.loads(line) for part in parts for line in part.open(encoding="utf-8")]
        return written, [json.loads(line) for line in (folder / "rejected.jsonl").open(encoding="utf-8")]

    def dataset(self, path: str = "out/dataset.json") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads((self.folder / path).read_text(encoding="utf-8"))
        return rows


def stats(url: str) -> dict[str, Any]:
    """Return what a mock server counted; `url` is any address of it."""
    with urllib.request.urlopen("/".join(url.split("/")[:3]) + "/stats", timeout=30) as response:
        found: dict[str, Any] = json.load(response)
    return found
