"""The trainer `isolated-trainer`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from wmsforge.options import Env, NotIdentity
from wmsforge.options import Options as BaseOptions
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.trainer import Trainer


class IsolatedTrainer(Trainer):
    """Counts words where `tinydep` is, which is not installed beside wmsforge."""

    class Options(BaseOptions):
        env: Annotated[Env, NotIdentity()] = Field(default="cpu", description="Where the words are counted.")

    options: Options

    def environments(self) -> Sequence[EnvironmentUse]:
        return (EnvironmentUse("fixture", self.options.env),)

    async def train(self, dataset: Artifact) -> Artifact:
        environment = await self.context.environment("fixture", self.options.env)
        facts = await environment.run("wmsforge_fixture.count_job:count", self._data(dataset))
        return Artifact(kind="adapter", path=str(self.context.folder), facts=facts)

    def _data(self, dataset: Artifact) -> dict[str, str]:
        """Return what the job is told: JSON values, files by absolute path."""
        self.context.folder.mkdir(parents=True, exist_ok=True)
        adapter = self.context.folder / "adapter.json"
        return {"rows": str(Path(dataset.path).absolute()), "adapter": str(adapter.absolute())}
