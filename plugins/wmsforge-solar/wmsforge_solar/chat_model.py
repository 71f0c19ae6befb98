"""The chat model `transformers`: SOLAR or any other causal language model, on this machine's GPU or CPU."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from wmsforge.errors import MissingDependencyError, RecordError
from wmsforge.options import NotIdentity
from wmsforge.prices import FREE, Price
from wmsforge.reasons import PROMPT_TOO_LONG
from wmsforge.steps.base import Context
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, ModelOptions, Usage
from wmsforge_solar.batching import Batcher, Job
from wmsforge_solar.template import STOP, choose, read, render
from wmsforge_solar.wanted import Wanted
from wmsforge_solar.weights import locate

if TYPE_CHECKING:
    from wmsforge_solar.generation import Prompt
    from wmsforge_solar.loading import Loaded

SOLAR = "upstage/SOLAR-10.7B-Instruct-v1.0"


class TransformersModel(ChatModel):
    """Generates in this process, `concurrency` answers in one batch."""

    fixed_concurrency = True

    class Options(ModelOptions):
        model: str = Field(
            default=SOLAR,
            min_length=1,
            description="Hub id, local folder or GGUF file of a causal language model; owner/name/file.gguf is a GGUF "
            "file of the hub.",
        )
        revision: str | None = Field(
            default=None, description="Branch, tag or commit of a hub model; a commit never changes under you."
        )
        adapter: str | None = Field(
            default=None,
            min_length=1,
            description="LoRA adapter of PEFT: hub id or local folder, also a folder inside a hub repository such as "
            "MyeongHo0621/solar-korean-wms/checkpoint-1000.",
        )
        adapter_revision: str | None = Field(default=None, description="Branch, tag or commit of a hub adapter.")
        quantization: Literal["none", "nf4"] = Field(
            default="none",
            description="'nf4' holds the weights in 4 bits (bitsandbytes, quantised twice): a quarter of the memory.",
        )
        dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
            default="auto",
            description="Numbers to compute with; auto is bfloat16 on GPUs that have it, else float16; on a CPU "
            "float32, or bfloat16 with nf4.",
        )
        device: Annotated[str, NotIdentity()] = Field(
            default="auto", description="cpu, cuda, cuda:1 or mps; auto takes the first GPU, else the CPU."
        )
        instruct: bool = Field(
            default=True, description="False for a base model, which is shown examples as plain text instead."
        )
        chat_template: str = Field(
            default="auto",
            min_length=1,
            description="How turns are written: auto (the tokenizer's own, else by the model's name), solar, gemma, "
            "plain, or the path of a Jinja file.",
        )
        context_tokens: int | None = Field(
            default=None, ge=64, description="Tokens of one prompt with its answer; the model's own limit if unset."
        )
        top_p: float = Field(default=0.95, gt=0, le=1, description="Nucleus sampling, where temperature is above 0.")
        concurrency: Annotated[int, NotIdentity()] = Field(
            default=8,
            ge=1,
            description="Answers that are generated in one batch; more are faster and need more memory.",
        )
        timeout_s: Annotated[float, NotIdentity()] = Field(
            default=1800, gt=0, description="Seconds one answer may take, the wait for its batch included."
        )

    options: Options

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.instruct = options.instruct

    def identity(self) -> dict[str, Any]:
        """Return the options, with weights, adapter and a template's file by what they hold, not by their path."""
        options, id = self.options, self.context.step
        identity = self.options.identity() | {
            "model": locate(options.model, "model", id).identity(options.revision),
            "adapter": options.adapter and locate(options.adapter, "adapter", id).identity(options.adapter_revision),
        }
        if options.chat_template not in ("auto", *STOP):
            identity["chat_template"] = hashlib.sha256(read(options.chat_template, id).encode()).hexdigest()
        return identity

    def price(self) -> Price | None:
        return self.options.price or FREE

    async def open(self) -> None:
        """Load the model, and say where it runs.

        Raises:
            StepError: If it cannot be loaded, or memory is too small for it.
            MissingDependencyError: If a package of the extra `generate` is not installed.
        """
        _check_packages(self.options)
        wanted = self._wanted()
        self._batches: Batcher[ChatRequest, ChatResponse] = Batcher(
            self._write, self.options.concurrency, "transformers"
        )
        try:
            self._loaded = await asyncio.get_running_loop().run_in_executor(self._batches.thread, _load, wanted)
            self._template = choose(
                self.options.chat_template,
                instruct=self.options.instruct,
                tokenizer=self._loaded.tokenizer,
                model=self.options.model,
                model_type=self._loaded.model_type,
                id=wanted.id,
            )
        except BaseException:
            await self._batches.close()
            raise
        limit = self._loaded.context_tokens
        self._context_tokens = min(self.options.context_tokens or limit, limit)
        self.context.warn(self._told(wanted))

    async def close(self) -> None:
        await self._batches.close()
        device = self._loaded.device
        del self._loaded
        _free(device)

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """See `ChatModel.complete`."""
        return await self._batches.ask(request)

    def _wanted(self) -> Wanted:
        options, id = self.options, self.context.step
        return Wanted(
            id=id,
            name=options.model,
            model=locate(options.model, "model", id),
            revision=options.revision,
            adapter=locate(options.adapter, "adapter", id) if options.adapter else None,
            adapter_revision=options.adapter_revision,
            nf4=options.quantization == "nf4",
            dtype=options.dtype,
            device=options.device,
        )

    def _told(self, wanted: Wanted) -> str:
        facts = [f"{wanted.name} runs on {self._loaded.device} in {str(self._loaded.dtype).removeprefix('torch.')}"]
        if wanted.nf4:
            facts.append("weights in 4 bits (nf4)")
        if self.options.adapter:
            facts.append(f"adapter {self.options.adapter}")
        facts.append(f"chat template {self._template.name}")
        return ", ".join(facts)

    def _write(self, jobs: Sequence[Job[ChatRequest, ChatResponse]]) -> list[ChatResponse | Exception]:
        """Answer a batch; runs in the thread."""
        from wmsforge_solar.generation import generate
        from wmsforge_solar.memory import is_out_of_memory, out_of_memory

        answers: list[ChatResponse | Exception] = []
        asked: list[tuple[int, Prompt]] = []
        for place, job in enumerate(jobs):
            try:
                asked.append((place, self._prompt(job.asked)))
                answers.append(RecordError("unanswered"))  # replaced below
            except Exception as error:
                answers.append(error)
        if not asked:
            return answers
        prompts = [prompt for _, prompt in asked]
        try:
            written = generate(self._loaded, prompts, self.options.top_p, lambda row: jobs[asked[row][0]].given_up)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            longest = max(len(prompt.tokens) + prompt.max_tokens for prompt in prompts)
            what = f"on {self._loaded.device}, generating {len(prompts)} answers at once, of {longest} tokens at most"
            raise out_of_memory(
                self.context.step,
                self.options.model,
                what,
                at_once=len(prompts),
                quantized=self.options.quantization == "nf4",
            ) from error
        for (place, prompt), one in zip(asked, written, strict=True):
            answers[place] = ChatResponse(
                text=one.text.strip(),
                finish_reason="stop" if one.ended else "length",
                usage=Usage(prompt_tokens=len(prompt.tokens), completion_tokens=one.tokens),
                model=self.options.model,
            )
        return answers

    def _prompt(self, request: ChatRequest) -> Prompt:
        from wmsforge_solar.generation import Prompt

        tokenizer = self._loaded.tokenizer
        text = render(self._template, tokenizer, _messages(request), self.context.language, self.context.step)
        begins = bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)
        tokens = tuple(tokenizer(text, add_special_tokens=not begins)["input_ids"])
        if len(tokens) + request.max_tokens > self._context_tokens:
            raise RecordError(
                PROMPT_TOO_LONG,
                f"the prompt has {len(tokens)} tokens and the answer may have {request.max_tokens} (max_tokens); "
                f"together at most {self._context_tokens}",
            )
        # An answer in JSON may hold what ends one in plain text.
        stop = request.stop if request.json_schema is not None else (*self._template.stop, *request.stop)
        seeds = f"{self.context.seed}\0{request.model_dump_json()}".encode()
        return Prompt(
            tokens=tokens,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            stop=stop,
            seed=int.from_bytes(hashlib.blake2b(seeds, digest_size=7).digest()),
        )


def _messages(request: ChatRequest) -> tuple[Any, ...]:
    if request.json_schema is None:
        return request.messages
    *earlier, last = request.messages
    schema = json.dumps(request.json_schema, ensure_ascii=False, separators=(",", ":"))
    asked = f"{last.content}\n\nAnswer with JSON of this schema and nothing else: {schema}"
    return (*earlier, last.model_copy(update={"content": asked}))


def _load(wanted: Wanted) -> Loaded:
    # Read when torch loads: its threads then sleep soon at barriers, instead of spinning while others want the core.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    from wmsforge_solar.loading import load

    return load(wanted)


def _free(device: Any) -> None:
    """Give a GPU's memory back: what comes next, such as a server, may need it."""
    import gc

    import torch

    gc.collect()  # models hold themselves in cycles
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _check_packages(options: TransformersModel.Options) -> None:
    """Find out what is missing before minutes of loading.

    Raises:
        MissingDependencyError: With the line that installs it.
    """
    from importlib.util import find_spec

    packages = ["torch", "transformers", "accelerate", "jinja2"]
    if options.model.endswith(".gguf"):
        packages.append("gguf")
    if options.adapter:
        packages.append("peft")
    if options.quantization == "nf4":
        packages.append("bitsandbytes")
    for package in packages:
        if find_spec(package) is None:
            raise MissingDependencyError("chat_model 'transformers'", package, "pip install 'wmsforge-solar[generate]'")
