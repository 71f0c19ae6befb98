"""The options of everything behind an OpenAI-compatible server: where it is, the key, what it counts limits by."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from wmsforge.errors import AuthenticationError
from wmsforge.options import NotIdentity
from wmsforge.steps.limits import LimitOptions
from wmsforge_openai.endpoint import Endpoint


class ServerOptions(LimitOptions):
    """Options of chat models and embedders behind one API."""

    base_url: Annotated[str, NotIdentity()] = Field(
        description="Address of the API, usually ending in /v1. A server that moves keeps its stored calls: "
        "of two servers with different weights under one model name, give one another `revision`."
    )
    api_key: Annotated[SecretStr | None, NotIdentity()] = Field(
        default=None, description="Key of the API, always as a variable: ${OPENAI_API_KEY}."
    )
    limits_per: Annotated[Literal["key", "model"], NotIdentity()] = Field(
        default="key",
        description="What the limits hold for: all models of one key at one address together, as for a server of "
        "your own whose capacity they share, or each model by itself, as at OpenAI.",
    )
    model: str = Field(min_length=1, description="Name the server knows the model by.")
    revision: str = Field(
        default="", description="Any text that tells these weights from others of the same name; never sent."
    )

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("must be an http:// or https:// address without user, query or fragment")
        return value.rstrip("/")

    def endpoint(self, id: str, path: str) -> Endpoint:
        """Return where the component `id` posts to."""
        key = self.api_key.get_secret_value() if self.api_key is not None else ""
        return Endpoint(id, self.base_url, path, self.model, key)

    def quota(self) -> str:
        """Return a digest of what the limits hold for; the key cannot be read from it."""
        key = self.api_key.get_secret_value() if self.api_key is not None else ""
        counted = [self.base_url, key, *([self.model] if self.limits_per == "model" else [])]
        return blake2b("\n".join(counted).encode(), digest_size=16).hexdigest()

    def check_key(self, endpoint: Endpoint) -> None:
        """Look at the key before anything is sent.

        Raises:
            AuthenticationError: If it is empty or cannot stand in a header.
        """
        if self.api_key is not None and not re.fullmatch(r"[\x21-\x7e]+", endpoint.key):
            raise AuthenticationError(
                f"{endpoint}: api_key is empty, or holds a blank, a line end or a letter outside ASCII; "
                f"leave it out for a server without keys."
            )
