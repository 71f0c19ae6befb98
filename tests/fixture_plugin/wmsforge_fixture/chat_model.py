"""The chat model `parrot`."""

from __future__ import annotations

from pydantic import Field

from wmsforge.errors import RecordError
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, ModelOptions, Usage


class Parrot(ChatModel):
    """Says what was said last, cut at the token limit; a token is a word."""

    class Options(ModelOptions):
        prefix: str = Field(default="", description="What it says before it repeats.")

    options: Options

    async def complete(self, request: ChatRequest) -> ChatResponse:
        words = f"{self.options.prefix} {request.messages[-1].content}".split()
        if not words:
            raise RecordError("empty_prompt", "there is nothing to repeat")
        said = words[: request.max_tokens]
        return ChatResponse(
            text=" ".join(said),
            finish_reason="stop" if len(said) == len(words) else "length",
            usage=Usage(
                prompt_tokens=sum(len(message.content.split()) for message in request.messages),
                completion_tokens=len(said),
            ),
            model="parrot",
        )
