"""The chat model `gemini`."""

from __future__ import annotations

import re
from datetime import date
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from wmsforge.errors import AuthenticationError
from wmsforge.options import NotIdentity
from wmsforge.prices import Price, price_of
from wmsforge.steps.base import Context
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, ModelOptions
from wmsforge_gemini.endpoint import Endpoint
from wmsforge_gemini.reply import read_reply
from wmsforge_gemini.requests import config_of, constant_config, contents_of
from wmsforge_gemini.retired import retired

if TYPE_CHECKING:
    from wmsforge_gemini.batch import Batch
    from wmsforge_gemini.client import Client

GOOGLE = "https://generativelanguage.googleapis.com"
HALF = 0.5
"""What flex and batch cost of the standard price."""
FLEX_DEFAULTS = {"timeout_s": 1200.0, "max_retry_s": 7200.0}
"""A flex answer may take a quarter of an hour."""
BATCH_DEFAULTS = {"timeout_s": 25 * 3600.0, "max_retry_s": 72 * 3600.0, "concurrency": 5000}
"""Google aims at a day for a batch job. A request is sent once, however often its call is tried in that time."""
HTTP_S = 600.0
"""Seconds that one request about a batch job may take."""
HTTP_AT_ONCE = 8


class GeminiModel(ChatModel):
    """Asks `models/{model}:generateContent` of the Gemini API, or of anything that speaks it."""

    class Options(ModelOptions):
        model: str = Field(min_length=1, description="Google's name of the model, such as gemini-3.8-flash.")
        api_key: Annotated[SecretStr, NotIdentity()] = Field(
            description="Key of the Gemini API, always as a variable: ${GOOGLE_API_KEY}."
        )
        base_url: Annotated[str, NotIdentity()] = Field(
            default=GOOGLE, description="Address of the API without its version, for a proxy or a fake server."
        )
        thinking_level: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
            default=None, description="How much the model thinks, paid as output; the model's own if unset."
        )
        service_tier: Annotated[Literal["standard", "flex"], NotIdentity()] = Field(
            default="standard",
            description="flex halves the price; answers take minutes (timeout_s is then 1200 unless set) and may be "
            "refused while Google is busy.",
        )
        top_p: float | None = Field(default=None, gt=0, le=1, description="Nucleus sampling; the model's own if unset.")
        safety: Literal["off", "only_high", "medium", "low"] | None = Field(
            default=None,
            description="From which probability of harm on Google blocks prompts and answers; Google's own if unset.",
        )

        day_starts_in: Annotated[str, NotIdentity()] = Field(
            default="America/Los_Angeles", description="Time zone whose midnight renews the day's requests; Google's."
        )
        batch: Annotated[bool, NotIdentity()] = Field(
            default=False,
            description="Send calls that come together as one batch job: half the price, answers within a day. "
            "concurrency is then 5000 and timeout_s 25 hours unless set, and service_tier does not matter.",
        )
        batch_quiet_s: Annotated[float, NotIdentity()] = Field(
            default=2.0, gt=0, description="Seconds without a new call after which a batch job is sent."
        )
        batch_poll_s: Annotated[float, NotIdentity()] = Field(
            default=30.0, gt=0, description="Seconds between two looks at a batch job."
        )

        @model_validator(mode="before")
        @classmethod
        def _slower(cls, values: Any) -> Any:
            if not isinstance(values, dict):
                return values
            batch = str(values.get("batch", "")).lower() in ("true", "1", "yes", "on")
            flex = values.get("service_tier") == "flex"
            return {**(BATCH_DEFAULTS if batch else FLEX_DEFAULTS if flex else {}), **values}

        @field_validator("model")
        @classmethod
        def _bare_name(cls, value: str) -> str:
            return value.removeprefix("models/")

        @field_validator("base_url")
        @classmethod
        def _plain_address(cls, value: str) -> str:
            if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
                raise ValueError("must be an http:// or https:// address without user, query or fragment")
            if re.search(r"/v\d+(alpha|beta)?/?$", value):
                raise ValueError("must not hold the API's version, such as /v1beta")
            return value.rstrip("/")

    options: Options

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        key = options.api_key.get_secret_value()
        self._endpoint = Endpoint(context.step, options.model, options.base_url, key)
        self._constant = constant_config(
            top_p=options.top_p, thinking_level=options.thinking_level, safety=options.safety
        )
        tier = {"service_tier": "flex"} if options.service_tier == "flex" else {}
        self._plain = {**self._constant, **tier}
        self._client: Client
        self._batch: Batch | None = None
        self.fixed_concurrency = self.resumes = options.batch

    def quota(self) -> str:
        """Return a digest of key and model: that is what Google counts requests by, batch jobs apart."""
        counted = f"{self._endpoint.key}\0{self.options.model}\0{'batch' * self.options.batch}".encode()
        return f"gemini-{blake2b(counted, digest_size=8, person=b'wmsf-gemini').hexdigest()}"

    def price(self) -> Price | None:
        """Return the option `price` as it is, else the price table's entry, halved for flex and batch."""
        if self.options.price is not None:
            return self.options.price
        listed = price_of(self.options.model)
        half = self.options.batch or self.options.service_tier == "flex"
        return listed.scaled(HALF) if listed is not None and half else listed

    def notice(self) -> str:
        gone = retired(self.options.model)
        return "" if gone is None else gone.warning(self.options.model, date.today())

    async def open(self) -> None:
        """Prepare the client; no request is sent. A model that is gone, or goes soon, is warned about.

        Raises:
            AuthenticationError: If the key is empty or cannot stand in a header.
        """
        if not re.fullmatch(r"[\x21-\x7e]+", self._endpoint.key):
            raise AuthenticationError(
                f"{self._endpoint}: api_key is empty, or holds a blank, a line end or a letter outside ASCII."
            )
        if notice := self.notice():
            self.context.warn(notice)
        if not self.options.batch and any((self.context.folder / "batches").glob("*.json")):
            self.context.warn(
                "a batch job of an earlier run is not read: what it answers is asked and paid again one by one. "
                "Set batch: true once more to take its answers"
            )
        from wmsforge_gemini.batch import Batch
        from wmsforge_gemini.client import Client

        if not self.options.batch:
            self._client = Client(self._endpoint, self.options.concurrency, self.options.timeout_s)
            return
        self._client = Client(self._endpoint, HTTP_AT_ONCE, HTTP_S)
        self._batch = Batch(
            self._endpoint,
            self._client,
            self.context.folder / "batches",
            self._constant,
            quiet_s=self.options.batch_quiet_s,
            poll_s=self.options.batch_poll_s,
            warn=self.context.warn,
        )

    async def close(self) -> None:
        if self._batch is not None:
            await self._batch.close()
        await self._client.close()

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """See `ChatModel.complete`; raises ParkedError when the day's quota or the account's credit is used up."""
        if self._batch is not None:
            return await self._batch.ask(request)
        content = await self._client.generate(contents_of(request), config_of(request, self._plain))
        return read_reply(self._endpoint, content)
