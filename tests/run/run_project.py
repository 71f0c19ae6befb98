"""A folder with a recipe, and runs of it in this process."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import run_components

from wmsforge.plugins import PluginHost
from wmsforge.recipe.load import load_recipe
from wmsforge.recipe.plan import Plan, make_plan
from wmsforge.run.runner import Runner
from wmsforge.store.manifest import Manifest
from wmsforge.store.workspace import Workspace

RECIPE = """\
name: tiny
models:
  expert: {use: echo}
steps:
  documents: {use: texts, path: docs}
  index: {use: words, from: documents}
  questions: {use: askers, askers: [Ann, Ben, Cem]}
  answers: {use: rag, from: questions, retriever: index, model: expert, top_k: 3}
  kept: {use: [{use: without, text: XXX}], from: answers}
  dataset: {use: lines, from: kept, path: out/data.txt}
"""


@dataclass
class Project:
    """A working folder with a recipe; `run` is one execution of it, as `wmsforge run` does."""

    folder: Path
    host: PluginHost
    workspace: Workspace = field(default_factory=Workspace)
    text: str = RECIPE
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Events of the last run."""
    arrived: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    """Set when an event of that name has come."""

    def write(self, text: str = RECIPE) -> None:
        self.text = dedent(text)

    def edit(self, old: str, new: str) -> None:
        """Change the recipe in one place, which must be there."""
        assert self.text.count(old) == 1, old
        self.text = self.text.replace(old, new)

    def plan(self, **options: Any) -> Plan:
        Path("recipe.yaml").write_text(self.text, encoding="utf-8")
        recipe = load_recipe(Path("recipe.yaml"), registry=self.host.registry)
        return make_plan(recipe, self.workspace, **options)

    def reasons(self, **options: Any) -> dict[str, str]:
        """Return why each step would run, of those that would."""
        return {id: step.reason for id, step in self.plan(**options).steps.items() if not step.reused}

    def runner(self, **options: Any) -> Runner:
        self.seen.clear()
        run_components.HAPPENED.clear()
        return Runner(self.plan(**options), self.host, self.workspace, lambda event, facts: self.note(event, facts))

    def note(self, event: str, facts: dict[str, Any]) -> None:
        self.seen.append((event, facts))
        self.arrived[event].set()

    async def start(self, event: str, **options: Any) -> asyncio.Task[Any]:
        """Start a run and return it when the event has come."""
        self.arrived.clear()
        task = asyncio.create_task(self.runner(**options).execute())
        async with asyncio.timeout(5):
            await self.arrived[event].wait()
        return task

    def document(self, name: str, text: str | None) -> None:
        """Write a document, or remove it."""
        path = Path("docs", name)
        path.unlink() if text is None else path.write_text(text, encoding="utf-8")

    async def run(self, **options: Any) -> Runner:
        runner = self.runner(**options)
        await runner.execute()
        return runner

    def events(self, name: str) -> list[dict[str, Any]]:
        return [facts for event, facts in self.seen if event == name]

    def calls(self) -> list[str]:
        """Return what the model of the last run was asked."""
        return [what for what in run_components.HAPPENED if what.startswith("call ")]

    def manifest(self, step: str, *, preview: bool = False) -> Manifest:
        found = Manifest.read(self.workspace.step_folder("tiny", step, preview))
        assert found is not None, f"{step} is not finished"
        return found

    def records(self, step: str) -> list[dict[str, Any]]:
        folder = self.workspace.step_folder("tiny", step)
        return [json.loads(line) for part in sorted(folder.glob("part-*")) for line in part.open(encoding="utf-8")]

    def data(self, path: str = "out/data.txt") -> list[str] | None:
        """Return the lines of the dataset, None when there is none."""
        return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else None
