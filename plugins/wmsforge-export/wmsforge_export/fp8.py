"""The exporter `fp8`: 8-bit floats in the compressed-tensors format, for vLLM and SGLang."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from wmsforge import options
from wmsforge.options import Env
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.exporter import ModelExporter
from wmsforge.steps.machine import Finding, Machine
from wmsforge_export.chain import handed_on, held_out_rows, model_folder
from wmsforge_export.gate import gate
from wmsforge_export.made import digest, made
from wmsforge_export.parity import ParityOptions, check_key
from wmsforge_export.servers import check_servers


class Fp8(ModelExporter):
    """Quantises the linear layers of a merged model to FP8 with llmcompressor, on a GPU or a CPU."""

    class Options(options.Options):
        scheme: Literal["dynamic", "block", "static"] = Field(
            default="dynamic",
            description="dynamic: one scale a channel of the weights and a token of the activations, found while "
            "serving; block: one a block of 128 x 128 weights and of 128 activations; static: one a tensor, "
            "measured on calibration rows.",
        )
        ignore: tuple[str, ...] = Field(
            default=("lm_head",), description="Layers that stay in bf16: names, or patterns such as 're:.*down_proj'."
        )
        calibration: Path | None = Field(
            default=None, description="Dataset file for 'static'; rows of training, not those of the parity gate."
        )
        calibration_rows: int = Field(default=256, ge=1, description="Rows of it that are read, evenly spread.")
        calibration_tokens: int = Field(default=2048, ge=1, description="Tokens of such a row at most.")
        parity: ParityOptions = Field(default=ParityOptions(), description="The check of the quantised model.")
        env: Env = Field(default="auto", description="Where it runs: auto, cpu, cuda, current, or {python: PATH}.")

        @model_validator(mode="after")
        def _static_is_measured(self) -> Self:
            if self.scheme == "static" and self.calibration is None:
                raise ValueError(
                    "scheme: static measures activations on calibration rows. Name a dataset file as calibration, "
                    "such as the training dataset, or write scheme: dynamic, which needs none"
                )
            return self

        def calibration_job(self) -> dict[str, Any]:
            """Return what the job needs to calibrate; nothing for schemes that measure while serving."""
            if self.scheme != "static":
                return {}
            limits = {"calibration_rows": self.calibration_rows, "max_length": self.calibration_tokens}
            return {"rows": str(self.calibration), **limits}

    options: Options

    def inputs(self) -> Sequence[Path]:
        return [path for path in (self.options.calibration, self.options.parity.rows) if path]

    def environments(self) -> Sequence[EnvironmentUse]:
        return [EnvironmentUse("fp8", self.options.env)]

    def doctor(self, machine: Machine) -> Sequence[Finding]:
        where = f"steps.{self.context.step}"
        return [*check_servers(self.options.scheme, machine, where), *check_key(self.options.parity)]

    async def export(self, model: Artifact) -> Artifact:
        step = self.context.step
        source = model_folder(model, step, "fp8")
        rows = held_out_rows(model, self.options.parity, step)
        job = {
            "path": str(source),
            "scheme": self.options.scheme,
            "ignore": list(self.options.ignore),
            **self.options.calibration_job(),
        }
        environment = await self.context.environment("fp8", self.options.env)

        async def make(out: Path) -> dict[str, Any]:
            result: dict[str, Any] = await environment.run(
                "wmsforge_export.jobs.fp8:quantize",
                {**job, "out": str(out)},
                out_of_memory="FP8 needs the model in bf16 once: use a machine with more memory, "
                "or for 'static' fewer calibration_tokens.",
            )
            return result

        folder = self.context.folder / "model"
        facts = await made(folder, {"job": job, "source": digest(source)}, make)
        parity = await gate(
            self,
            environment,
            before={"path": str(source)},
            after={"path": str(folder)},
            rows=rows,
            hop=f"{source.parent.name} -> {step}",
        )
        told = {"format": "compressed-tensors", "dtype": "float8_e4m3", "scheme": self.options.scheme, **facts}
        hop = {"step": step, "exporter": "fp8", "path": str(folder), "parity": parity}
        return Artifact(kind="model", path=str(folder), facts=handed_on(model, hop, **told, parity=parity))
