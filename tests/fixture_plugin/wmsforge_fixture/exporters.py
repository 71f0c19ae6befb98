"""The exporters `copy-model` and `plain-text`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from wmsforge.errors import StepError
from wmsforge.options import Options as BaseOptions
from wmsforge.records import Answer, Artifact
from wmsforge.steps.exporter import DatasetExporter, ModelExporter, Origin


class CopyModel(ModelExporter):
    """Copies a model's folder into the step's own."""

    async def export(self, model: Artifact) -> Artifact:
        target = self.context.folder / "model"
        if target.exists():
            shutil.rmtree(target)
        try:
            shutil.copytree(model.path, target)
        except OSError as error:
            raise StepError(f"The {model.kind} {model.path!r} cannot be copied: {error}.\nMake it first.") from error
        files = sum(path.is_file() for path in target.rglob("*"))
        return Artifact(kind="model", path=str(target), facts={"files": files, "copied_from": model.kind})


class PlainText(DatasetExporter):
    """Writes a question and its answer a row, as one line of text."""

    class Options(BaseOptions):
        path: Path = Field(description="The text file to write.")

    options: Options

    def export(self, answers: Iterable[Answer], origin: Origin) -> Artifact:
        path = self.options.path
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".new")
        rows = 0
        with temporary.open("w", encoding="utf-8", newline="\n") as out:
            for answer in answers:
                out.write(f"{answer.question.text}\t{' '.join(answer.text.split())}\n")
                rows += 1
        temporary.replace(path)
        return Artifact(kind="dataset", path=str(path), facts={"rows": rows, "recipe": origin.recipe})
