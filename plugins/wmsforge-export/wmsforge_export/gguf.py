"""The exporter `gguf`: one file for llama.cpp and Ollama."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from wmsforge import options
from wmsforge.errors import StepError
from wmsforge.options import Env
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.exporter import ModelExporter
from wmsforge.steps.machine import Finding, Machine
from wmsforge_export.chain import handed_on, held_out_rows, model_folder
from wmsforge_export.gate import gate
from wmsforge_export.made import digest, made
from wmsforge_export.modelfile import Turns, render_modelfile
from wmsforge_export.parity import ParityOptions, check_key


class Gguf(ModelExporter):
    """Converts a merged model with llama.cpp's converter, and has llama.cpp itself answer the gate's prompts."""

    class Options(options.Options):
        type: Literal["bf16", "f16", "q8_0"] = Field(
            default="q8_0", description="How weights are stored: 16 bits, or 8 bits in blocks of 32."
        )
        name: str = Field(default="", description="Name of the model in the file; by default the step's id.")
        system_prompt: str = Field(default="", description="System prompt that the Modelfile sets for Ollama.")
        temperature: float = Field(default=0.2, ge=0, le=2, description="Temperature that the Modelfile sets.")
        context_tokens: int = Field(
            default=4096, ge=256, description="Tokens of prompt and answer that the Modelfile sets (num_ctx)."
        )
        parity: ParityOptions = Field(default=ParityOptions(), description="The check of the converted model.")
        env: Env = Field(default="auto", description="Where it runs: auto, cpu, cuda, current, or {python: PATH}.")

    options: Options

    def inputs(self) -> Sequence[Path]:
        return [self.options.parity.rows] if self.options.parity.rows else []

    def environments(self) -> Sequence[EnvironmentUse]:
        return [EnvironmentUse("gguf", self.options.env), EnvironmentUse("merge", self.options.env)]

    def doctor(self, machine: Machine) -> Sequence[Finding]:
        return check_key(self.options.parity)

    async def export(self, model: Artifact) -> Artifact:
        step = self.context.step
        source = model_folder(model, step, "gguf")
        rows = held_out_rows(model, self.options.parity, step)
        name = re.sub(r"[^\w.-]+", "-", self.options.name or step)
        job = {"path": str(source), "type": self.options.type, "name": name}
        environment = await self.context.environment("gguf", self.options.env)

        async def make(out: Path) -> dict[str, Any]:
            file = out / f"{name}-{self.options.type}.gguf"
            result: dict[str, Any] = await environment.run(
                "wmsforge_export.jobs.gguf:convert",
                {**job, "out": str(file)},
                out_of_memory="The converter reads one tensor at a time: use a machine with more memory.",
            )
            self._write_modelfile(out, file.name, result.pop("turns"), result.pop("stop"))
            return {**result, "file": file.name}

        folder = self.context.folder / "gguf"
        wanted = self.options.model_dump(mode="json", exclude={"parity", "env"})
        facts = await made(folder, {"job": job, "options": wanted, "source": digest(source)}, make)
        path = str(folder / facts["file"])
        # The converter brings a gguf library of its own, so the check runs where the merge ran.
        parity = await gate(
            self,
            await self.context.environment("merge", self.options.env),
            before={"path": str(source)},
            after={"path": path, "tokenizer": str(source)},
            rows=rows,
            hop=f"{source.parent.name} -> {step}",
            served={"gguf": path},
        )
        told = {"format": "gguf", "dtype": self.options.type, "file": facts["file"], "bytes": facts["bytes"]}
        hop = {"step": step, "exporter": "gguf", "path": path, "parity": parity}
        also = (str(folder / "Modelfile"),)
        return Artifact(kind="model", path=path, also=also, facts=handed_on(model, hop, **told, parity=parity))

    def _write_modelfile(self, out: Path, file: str, told: dict[str, Any] | None, stop: Sequence[str]) -> None:
        step = self.context.step
        if told is None:
            raise StepError(
                f"Step {step!r}: the model has no chat template, so a server does not know how to ask it.\n"
                f"Train with a chat template (trainer option chat_template): merge keeps it."
            )
        turns = Turns(tuple(told["plain"]), tuple(told["system"]) if told["system"] else None)
        if self.options.system_prompt and turns.system is None:
            raise StepError(
                f"Step {step!r}: the model's chat template knows no system prompt.\n"
                f"Leave it out: --set steps.{step}.system_prompt=''"
            )
        if not told["repeats"]:
            self.context.warn(
                "the chat template writes later turns in another way than the first, which Ollama's template cannot "
                "say: the Modelfile is exact for the first question of a conversation only."
            )
        parameters = {"temperature": self.options.temperature, "num_ctx": self.options.context_tokens}
        text = render_modelfile(file, turns, system=self.options.system_prompt, parameters=parameters, stop=stop)
        (out / "Modelfile").write_text(text, encoding="utf-8")
