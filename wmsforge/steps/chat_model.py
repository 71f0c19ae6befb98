"""ChatModel: chat messages in, text out. And `Chat`, how components call one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from wmsforge.files import writable
from wmsforge.options import Options
from wmsforge.prices import Price
from wmsforge.steps.base import Component
from wmsforge.steps.limits import LimitOptions, listed_price


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True)

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(BaseModel):
    """What is asked of a model. Everything here is part of the ledger's key."""

    model_config = ConfigDict(frozen=True)

    messages: tuple[Message, ...] = Field(description="Earlier user/assistant turns are examples to follow.")
    max_tokens: int = Field(default=500, ge=1)
    temperature: float = Field(default=0.0, ge=0)
    sample: int = Field(default=0, ge=0, description="Number of the sample; another number asks anew.")
    stop: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = Field(default=None, description="The answer must be JSON of this schema.")


class Usage(BaseModel):
    """Tokens of one call."""

    model_config = ConfigDict(frozen=True)

    prompt_tokens: int = 0
    cached_tokens: int = Field(default=0, description="Those of the prompt that the provider had cached.")
    completion_tokens: int = Field(default=0, description="Of the answer, without thoughts.")
    thought_tokens: int = Field(default=0, description="Of the model's thinking, paid like the answer's.")


class ChatResponse(BaseModel):
    """What the model gave, before anyone parsed it."""

    model_config = ConfigDict(frozen=True)

    text: str
    finish_reason: Literal["stop", "length", "refusal"] = "stop"
    usage: Usage = Usage()
    model: str = Field(default="", description="The model's own name for itself.")
    created_at: str = Field(default="", description="ISO 8601 UTC; the ledger keeps it on reuse.")

    @field_validator("text", "model")
    @classmethod
    def _can_be_written(cls, value: str) -> str:
        return writable(value)


class ModelOptions(LimitOptions):
    """Options that every chat model has."""


class ChatModel(Component):
    """Answers one request. Limits, retries and the ledger are the engine's."""

    Options: ClassVar[type[Options]] = ModelOptions
    instruct: bool = True
    """False for a base model, which must be shown examples as earlier turns."""
    fixed_concurrency: bool = False
    """True where `concurrency` is what the model itself decodes at once: the engine then fills it and looks for no
    other level."""
    resumes: bool = False
    """True where a request cut off by a kill is found again by the model instead of made anew, such as one of a
    stored batch job: it is counted once."""

    def quota(self) -> str:
        """Return what the provider counts limits by, such as a digest of key and model; never the key itself.

        Models of the same value share one limiter. Called before `open`. By default a model shares
        with no other.
        """
        return ""

    def price(self) -> Price | None:
        """Return what a million tokens cost, None if unknown. Called before `open`.

        By default the option `price`, else the price table's entry of the option `model`.
        """
        return listed_price(self.options)

    def notice(self) -> str:
        """Return what is known to be wrong with the model before it is asked, such as that it was shut down."""
        return ""

    @abstractmethod
    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask once. Give every error what the server sent as its `raw`, and `usage` if it counted tokens.

        Raises:
            RetryableError: If trying again may help; with the server's wait hint when it gave one.
            RecordError: If this request can never succeed (refused, too long). An answer that reached
                max_tokens with some text is no error: its `finish_reason` is "length".
            StepError: If no request can succeed (wrong key, unknown model).
            ParkedError: If a quota is used up and the same request may succeed another day.
        """


class Chat(Protocol):
    """An open chat model as components use it: limited, retried, counted, in the ledger."""

    name: str
    """What the recipe calls the model, with its own name: 'expert (gemma-3-270m)'."""
    instruct: bool

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask, or return the stored response of the same request.

        Raises:
            RecordError: If no usable response came after all attempts.
        """
        ...
