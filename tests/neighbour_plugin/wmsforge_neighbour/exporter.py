"""The exporter `stamp`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, SecretStr

from wmsforge.options import Options as BaseOptions
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.exporter import ModelExporter


class Stamp(ModelExporter):
    """Copies a model and stamps it, by a job that talks too much."""

    class Options(BaseOptions):
        token: SecretStr = Field(description="What the job prints.")

    options: Options

    def environments(self) -> Sequence[EnvironmentUse]:
        return (EnvironmentUse("neighbour", "cpu"),)

    async def export(self, model: Artifact) -> Artifact:
        environment = await self.context.environment("neighbour", "cpu")
        facts = await environment.run("wmsforge_neighbour.stamp_job:stamp", self._data(model))
        return Artifact(kind="model", path=str(self.context.folder / "model"), facts=facts)

    def _data(self, model: Artifact) -> dict[str, str]:
        target = (self.context.folder / "model").absolute()
        token = self.options.token.get_secret_value()
        return {"model": str(Path(model.path).absolute()), "target": str(target), "token": token}
