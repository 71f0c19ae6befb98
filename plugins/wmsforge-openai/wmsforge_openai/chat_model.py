"""The chat model `openai-compatible`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from wmsforge.options import NotIdentity
from wmsforge.steps.base import Context
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, ModelOptions
from wmsforge_openai.failures import failure
from wmsforge_openai.reply import read_reply
from wmsforge_openai.server import ServerOptions

if TYPE_CHECKING:
    from wmsforge_openai.transport import Transport

_OURS = {"model", "messages", "stream", "n", "max_tokens", "max_completion_tokens"}
"""Fields that are not extra: what a call may cost at most is reckoned from them."""
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class OpenAICompatibleModel(ChatModel):
    """Asks `POST {base_url}/chat/completions`, one connection a call in flight."""

    class Options(ServerOptions, ModelOptions):
        top_p: float | None = Field(
            default=None, gt=0, le=1, description="Nucleus sampling; the server's own if unset."
        )
        instruct: bool = Field(default=True, description="False for a base model, which is shown examples instead.")
        structured: Literal["json_schema", "json_object", "none"] = Field(
            default="json_schema",
            description="How JSON answers are asked for: by a schema the server enforces, as any JSON object, or in "
            "words alone; the last two add the schema to the prompt.",
        )
        max_tokens_field: Annotated[Literal["max_tokens", "max_completion_tokens"], NotIdentity()] = Field(
            default="max_tokens", description="What the server calls the limit; OpenAI's own newer models the second."
        )
        extra_body: dict[str, Any] = Field(
            default_factory=dict, description="More fields of the request's body; null leaves a field out."
        )

        @field_validator("extra_body")
        @classmethod
        def _leaves_ours_alone(cls, value: dict[str, Any]) -> dict[str, Any]:
            taken = sorted(_OURS & value.keys())
            if taken:
                raise ValueError(f"must not hold {', '.join(taken)}: wmsforge sets or needs it")
            return value

    options: Options

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        self.instruct = options.instruct
        self._endpoint = options.endpoint(context.step, "chat/completions")
        constant = {"top_p": options.top_p, **options.extra_body}
        self._constant = {name: value for name, value in constant.items() if value is not None}
        self._left_out = [name for name, value in options.extra_body.items() if value is None]
        self._transport: Transport

    def quota(self) -> str:
        """See `ServerOptions.quota`."""
        return self.options.quota()

    async def open(self) -> None:
        """Prepare the session; no request is sent.

        Raises:
            StepError: If the key is empty or cannot stand in a header.
        """
        from wmsforge_openai.transport import Transport

        self.options.check_key(self._endpoint)
        self._transport = Transport(self._endpoint, self.options.concurrency)

    async def close(self) -> None:
        await self._transport.close()

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """See `ChatModel.complete`; raises ParkedError when the account's quota is used up."""
        status, headers, content = await self._transport.post(self._body(request))
        if status != 200:
            raise failure(self._endpoint, status, headers, content)
        return read_reply(self._endpoint, content)

    def _body(self, request: ChatRequest) -> bytes:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        body: dict[str, Any] = {
            "model": self.options.model,
            "messages": messages,
            self.options.max_tokens_field: request.max_tokens,
            "temperature": request.temperature,
        }
        if request.stop:
            body["stop"] = request.stop
        if request.json_schema is not None:
            self._ask_for_json(request.json_schema, body)
        body.update(self._constant)
        for name in self._left_out:
            body.pop(name, None)
        return _encode(body).encode()

    def _ask_for_json(self, schema: dict[str, Any], body: dict[str, Any]) -> None:
        if self.options.structured == "json_schema":
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
            return
        if self.options.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        body["messages"][-1]["content"] += f"\n\nAnswer with JSON of this schema and nothing else: {_encode(schema)}"
