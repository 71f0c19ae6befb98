"""The exporter `hub`: a folder that can be published, and its upload when that is asked for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from wmsforge import options
from wmsforge.errors import StepError
from wmsforge.options import Env
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.exporter import ModelExporter
from wmsforge.steps.machine import Finding, Machine
from wmsforge_export.card import render_model_card
from wmsforge_export.licenses import base_license, forbids_commerce
from wmsforge_export.made import MARKER, digest, made

_LEFT_OUT = (MARKER, "README.md", "training_args.bin", "optimizer.pt", "scheduler.pt", "trainer_state.json")
"""Files that are not published: ours, a card of someone else's, and what only a trainer reads."""


class Hub(ModelExporter):
    """Makes a folder with the model and its card. Nothing leaves the machine without `push: true`."""

    class Options(options.Options):
        repo: str = Field(
            pattern=r"^[\w.-]+/[\w.-]+$", description="Where it is or would be published: owner/name on the model hub."
        )
        push: bool = Field(
            default=False, description="Upload the folder. The token is read from the environment variable HF_TOKEN."
        )
        private: bool = Field(default=True, description="Whether a new repository is private.")
        license: str | None = Field(
            default=None,
            description="Licence as the hub spells it, such as apache-2.0; by default the base's if known.",
        )
        evaluation: Path | None = Field(
            default=None, description="JSON file with the figures of an evaluation, such as report.json of two-by-two."
        )
        recipe: Path | None = Field(default=None, description="The recipe's file, to be shown in the card.")
        env: Env = Field(default="auto", description="Where the upload runs: auto, cpu, cuda, current, {python: PATH}.")

    options: Options

    def inputs(self) -> Sequence[Path]:
        return [path for path in (self.options.evaluation, self.options.recipe) if path]

    def environments(self) -> Sequence[EnvironmentUse]:
        return [EnvironmentUse("merge", self.options.env)] if self.options.push else []

    def doctor(self, machine: Machine) -> Sequence[Finding]:
        if not self.options.push or os.environ.get("HF_TOKEN"):
            return []
        what = "push: true uploads with the token in HF_TOKEN, which is not set; that of a login will do too"
        return [Finding("warning", what, "export HF_TOKEN=...")]

    async def export(self, model: Artifact) -> Artifact:
        base = str(model.facts.get("base", ""))
        license = self._license(base)
        source = Path(model.path)
        folder = self.context.folder / "model"

        async def make(out: Path) -> dict[str, Any]:
            files = _linked(_files(source, model.also), out)
            card = self._card(model, base, license, files)
            (out / "README.md").write_text(card, encoding="utf-8")
            return {"files": len(files) + 1, "bytes": sum((out / name).stat().st_size for name in files)}

        texts = [path.read_text(encoding="utf-8") for path in self.inputs()]
        key = {"source": digest(source), "facts": model.facts, "options": [self.options.repo, license], "texts": texts}
        facts = await made(folder, key, make)
        url = await self._push(folder) if self.options.push else ""
        told = {**model.facts, "repo": self.options.repo, "license": license, "pushed": self.options.push, **facts}
        return Artifact(kind="model", path=str(folder), url=url, facts=told)

    def _license(self, base: str) -> str:
        known = base_license(base)
        license = self.options.license or known
        if license is None:
            raise StepError(
                f"Step {self.context.step!r}: the licence of the base {base!r} is not known here.\n"
                f"Look it up and name it: --set steps.{self.context.step}.license=apache-2.0"
            )
        if known and license != known:
            self.context.warn(f"the base is under {known}, and the card says {license}: check that you may.")
        return license

    def _card(self, model: Artifact, base: str, license: str, files: Sequence[str]) -> str:
        kind = {"format": "adapter"} if model.kind == "adapter" else {}
        training = {"training": model.facts} if model.kind == "adapter" else {}
        recipe, evaluation = self.options.recipe, self.options.evaluation
        return render_model_card(
            name=self.options.repo.rpartition("/")[2],
            base=base,
            license=license,
            non_commercial=forbids_commerce(license),
            language=self.context.language,
            facts={**model.facts, **kind, **training},
            evaluation=json.loads(evaluation.read_text(encoding="utf-8")) if evaluation else None,
            recipe=recipe.read_text(encoding="utf-8") if recipe else "",
            files=files,
        )

    async def _push(self, folder: Path) -> str:
        environment = await self.context.environment("merge", self.options.env)
        job = {"folder": str(folder), "repo": self.options.repo, "private": self.options.private, "ignore": [MARKER]}
        result = await environment.run("wmsforge_export.jobs.push:push", job)
        return str(result["url"])


def _files(source: Path, also: Sequence[str]) -> list[Path]:
    return [source, *map(Path, also)] if source.is_file() else sorted(source.iterdir())


def _linked(files: Sequence[Path], out: Path) -> list[str]:
    """Put the files into a folder, as hard links where the file system can: weights are large."""
    names = []
    for file in files:
        if not file.is_file() or file.name in _LEFT_OUT or file.name.startswith("."):
            continue
        try:
            os.link(file, out / file.name)
        except OSError:
            shutil.copy2(file, out / file.name)
        names.append(file.name)
    return names
