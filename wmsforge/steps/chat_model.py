"""ChatModel: chat messages in, text out. And `Chat`, how components call one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from wmsforge.options import NotIdentity, Options
from wmsforge.steps.base import Component


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
    completion_tokens: int = 0


class ChatResponse(BaseModel):
    """What the model gave, before anyone parsed it."""

    model_config = ConfigDict(frozen=True)

    text: str
    finish_reason: Literal["stop", "length", "refusal"] = "stop"
    usage: Usage = Usage()
    model: str = Field(default="", description="The model's own name for itself.")
    created_at: str = Field(default="", description="ISO 8601 UTC; the ledger keeps it on reuse.")


class ModelOptions(Options):
    """Options that every chat model has."""

    concurrency: Annotated[int, NotIdentity()] = Field(default=8, ge=1, description="Calls in flight at most.")
    max_attempts: Annotated[int, NotIdentity()] = Field(
        default=6, ge=1, description="Tries of one call before its record is rejected."
    )
    timeout_s: Annotated[float, NotIdentity()] = Field(default=120, gt=0, description="Seconds one try may take.")


class ChatModel(Component):
    """Answers one request. Limits, retries and the ledger are the engine's."""

    Options: ClassVar[type[Options]] = ModelOptions
    instruct: bool = True
    """False for a base model, which must be shown examples as earlier turns."""

    @abstractmethod
    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Ask once.

        Raises:
            RetryableError: If trying again may help; with the server's wait hint when it gave one.
            RecordError: If this request can never succeed (refused, too long).
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
