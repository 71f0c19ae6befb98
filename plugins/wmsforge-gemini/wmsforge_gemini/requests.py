"""A ChatRequest as Google's API wants it."""

from __future__ import annotations

from typing import Any

from wmsforge.steps.chat_model import ChatRequest

ROLES = {"user": "user", "assistant": "model"}
HARMS = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)
THRESHOLDS = {
    "off": "OFF",
    "only_high": "BLOCK_ONLY_HIGH",
    "medium": "BLOCK_MEDIUM_AND_ABOVE",
    "low": "BLOCK_LOW_AND_ABOVE",
}


def constant_config(*, top_p: float | None, thinking_level: str | None, safety: str | None) -> dict[str, Any]:
    """Return what every call of a model sends besides its prompt, as fields of the SDK's GenerateContentConfig."""
    config: dict[str, Any] = {}
    if top_p is not None:
        config["top_p"] = top_p
    if thinking_level is not None:
        config["thinking_config"] = {"thinking_level": thinking_level}
    if safety is not None:
        config["safety_settings"] = [{"category": harm, "threshold": THRESHOLDS[safety]} for harm in HARMS]
    return config


def contents_of(request: ChatRequest) -> list[dict[str, Any]]:
    """Return the turns of a conversation; system messages are in `config_of`."""
    return [
        {"role": ROLES[message.role], "parts": [{"text": message.content}]}
        for message in request.messages
        if message.role != "system"
    ]


def config_of(request: ChatRequest, constant: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the SDK's GenerateContentConfig for one request."""
    config = {**constant, "temperature": request.temperature, "max_output_tokens": request.max_tokens}
    system = [message.content for message in request.messages if message.role == "system"]
    if system:
        config["system_instruction"] = "\n\n".join(system)
    if request.stop:
        config["stop_sequences"] = list(request.stop)
    if request.json_schema is not None:
        config["response_mime_type"] = "application/json"
        config["response_json_schema"] = request.json_schema
    return config
