"""The chat model `llama-cpp`."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

from pydantic import Field

from wmsforge.errors import RecordError, StepError
from wmsforge.options import NotIdentity
from wmsforge.prices import FREE, Price
from wmsforge.reasons import BAD_REQUEST, PROMPT_TOO_LONG
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, ModelOptions, Usage
from wmsforge_llama_cpp.server import LlamaServer
from wmsforge_llama_cpp.transcript import TURN_END, render
from wmsforge_llama_cpp.weights import BUNDLED, weights, weights_identity


class LlamaCppModel(ChatModel):
    """Runs a GGUF model in this process; `concurrency` is the number of slots decoded together."""

    version = "1"
    fixed_concurrency = True

    class Options(ModelOptions):
        model: str = Field(
            default=BUNDLED, description="Path of a GGUF file; 'gemma-3-270m' is the base model that comes along."
        )
        instruct: bool = Field(
            default=False,
            description="True for an instruction-tuned model, which is asked through its own chat template.",
        )
        context_tokens: int = Field(default=2048, ge=256, description="Tokens of one prompt with its answer.")
        threads: Annotated[int, NotIdentity()] = Field(
            default_factory=lambda: os.cpu_count() or 1, ge=1, description="CPU threads; all cores unless told."
        )
        top_p: float = Field(default=0.95, gt=0, le=1, description="Nucleus sampling, where temperature is above 0.")
        min_p: float = Field(default=0.05, ge=0, le=1, description="Least probability beside the likeliest token's.")
        repeat_penalty: float = Field(default=1.0, ge=0.5, le=2, description="Above 1 discourages repetition.")
        timeout_s: Annotated[float, NotIdentity()] = Field(
            default=600, gt=0, description="Seconds one answer may take, the wait for a slot excluded."
        )

    options: Options

    def identity(self) -> dict[str, Any]:
        return {**self.options.identity(), "model": "", "weights": weights_identity(self.options.model)}

    def price(self) -> Price:
        """Return what the option says, else nothing: the model runs on a machine that is there anyway."""
        return self.options.price or FREE

    async def open(self) -> None:
        """Load the model.

        Raises:
            StepError: If the file does not exist or llama.cpp cannot load it.
        """
        self.instruct = self.options.instruct
        path = weights(self.options.model)
        self._server = LlamaServer(
            path,
            slots=self.options.concurrency,
            context_tokens=self.options.context_tokens,
            threads=self.options.threads,
        )
        try:
            await self._server.start()
        except (RuntimeError, ValueError) as error:
            raise StepError(
                f"llama-cpp cannot load {path}: {error}.\nIs it a GGUF file, and is there memory for it?"
            ) from error

    async def close(self) -> None:
        await self._server.stop()

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """See `ChatModel.complete`."""
        body = self._body(request)
        if self.options.instruct:
            messages = [{"role": message.role, "content": message.content} for message in request.messages]
            reply = await self._server.chat({**body, "messages": messages})
        else:
            body["prompt"] = render(request.messages, self.context.language)
            if request.json_schema is None:  # a grammar ends by itself, and JSON may hold empty lines
                body["stop"] = [TURN_END, *request.stop]
            reply = await self._server.complete(body)
        if "error" in reply:
            raise _error(reply["error"], self.options.context_tokens)
        choice, usage = reply["choices"][0], reply["usage"]
        text = choice["message"]["content"] if self.options.instruct else choice["text"]
        return ChatResponse(
            text=text.strip(),
            finish_reason="length" if choice["finish_reason"] == "length" else "stop",
            usage=Usage(prompt_tokens=usage["prompt_tokens"], completion_tokens=usage["completion_tokens"]),
            model=self.options.model,
        )

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": self.options.top_p,
            "min_p": self.options.min_p,
            "repeat_penalty": self.options.repeat_penalty,
            "seed": self.context.seed + request.sample,
            "stop": list(request.stop),
            "cache_prompt": True,
        }
        if request.json_schema is not None:
            body["json_schema"] = request.json_schema
        return body


def _error(error: dict[str, Any], context_tokens: int) -> RecordError:
    raw = json.dumps(error, ensure_ascii=False)
    message = str(error.get("message", raw))
    if "context" in message:
        return RecordError(PROMPT_TOO_LONG, f"{message} (context_tokens is {context_tokens})", raw)
    return RecordError(BAD_REQUEST, message, raw)
