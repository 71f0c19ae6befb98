"""The exporter `merge`: an adapter becomes part of its base."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from wmsforge import options
from wmsforge.options import Env
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.exporter import ModelExporter
from wmsforge.steps.machine import Finding, Machine
from wmsforge_export.chain import adapter_source, handed_on, held_out_rows
from wmsforge_export.gate import gate
from wmsforge_export.made import digest, made
from wmsforge_export.parity import MergeParity, check_key


class Merge(ModelExporter):
    """Merges a LoRA adapter in fp32 and writes bf16 safetensors with tokenizer and serving template."""

    class Options(options.Options):
        base: Literal["dequantized", "bf16", "auto"] = Field(
            default="dequantized",
            description="For an adapter trained on 4 bits: merge into the base as those 4 bits rounded it, which is "
            "what the adapter learned to correct; or into the full bf16 weights; 'auto' measures the held-out loss of "
            "both and takes the nearer to the adapter's.",
        )
        base_model: str | None = Field(
            default=None, description="Folder, GGUF file or hub id of the base; by default what the trainer used."
        )
        quantization: Literal["auto", "nf4", "none"] = Field(
            default="auto", description="How the base was loaded in training; 'auto' takes what the trainer said."
        )
        parity: MergeParity = Field(default=MergeParity(), description="The check of the merged model.")
        env: Env = Field(default="auto", description="Where it runs: auto, cpu, cuda, current, or {python: PATH}.")

    options: Options

    def inputs(self) -> Sequence[Path]:
        return [self.options.parity.rows] if self.options.parity.rows else []

    def environments(self) -> Sequence[EnvironmentUse]:
        return [EnvironmentUse("merge", self.options.env)]

    def doctor(self, machine: Machine) -> Sequence[Finding]:
        return check_key(self.options.parity)

    async def export(self, model: Artifact) -> Artifact:
        step = self.context.step
        source = adapter_source(model, step, self.options.base_model, self.options.quantization)
        rows = held_out_rows(model, self.options.parity, step)
        environment = await self.context.environment("merge", self.options.env)

        async def make(out: Path) -> dict[str, Any]:
            job = {"merge_base": self.options.base, "rows": str(rows) if rows else None, "out": str(out)}
            result: dict[str, Any] = await environment.run(
                "wmsforge_export.jobs.merge:merge",
                {**source.job(), **job},
                out_of_memory="The merge needs the model in bf16 and one layer in fp32: use a machine that has that.",
            )
            return result

        key = {
            "source": source.job(),
            "adapter": digest(Path(source.adapter)),
            "weights": _digest_of_base(source.base),
            "base": self.options.base,
        }
        folder = self.context.folder / "model"
        facts = await made(folder, key, make)
        parity = await gate(
            self,
            environment,
            before=source.job(),
            after={"path": str(folder)},
            rows=rows,
            hop=f"adapter -> {step}",
        )
        told = {
            "format": "safetensors",
            "dtype": "bfloat16",
            "base": source.base,
            "base_revision": source.revision,
            "adapter": source.adapter,
            **facts,
            "parity": parity,
        }
        hop = {"step": step, "exporter": "merge", "path": str(folder), "parity": parity}
        return Artifact(kind="model", path=str(folder), facts=handed_on(model, hop, **told))


def _digest_of_base(base: str) -> str:
    """Return what tells a local base from another in its place; a hub id and its revision tell it themselves."""
    path = Path(base).expanduser()
    return digest(path) if path.exists() else ""
