"""What may be set for every model that is called: how fast, how often, how long, at what price."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from wmsforge.options import NotIdentity, Options
from wmsforge.prices import Price, price_of


class LimitOptions(Options):
    """Options of chat models, and of embedders that call a provider. None of them changes what comes out."""

    concurrency: Annotated[int, NotIdentity()] = Field(
        default=8, ge=1, description="Calls in flight at most; a run finds by itself how many below this are best."
    )
    requests_per_minute: Annotated[int | None, NotIdentity()] = Field(
        default=None, ge=1, description="Requests in any 60 seconds at most."
    )
    tokens_per_minute: Annotated[int | None, NotIdentity()] = Field(
        default=None, ge=1, description="Tokens of prompts and answers in any 60 seconds at most."
    )
    requests_per_day: Annotated[int | None, NotIdentity()] = Field(
        default=None, ge=1, description="Requests in a day at most; the run parks when they are used up."
    )
    day_starts_in: Annotated[str, NotIdentity()] = Field(
        default="UTC", description="Time zone whose midnight renews the day's requests, such as Asia/Seoul."
    )

    @field_validator("day_starts_in")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no time zone is called {value!r}; write one such as Asia/Seoul") from error
        return value

    max_attempts: Annotated[int, NotIdentity()] = Field(
        default=6, ge=1, description="Tries of one call before its record is rejected."
    )
    max_retry_s: Annotated[float, NotIdentity()] = Field(
        default=900, gt=0, description="Seconds from a call's first try after which no further one begins."
    )
    timeout_s: Annotated[float, NotIdentity()] = Field(default=120, gt=0, description="Seconds one try may take.")
    price: Annotated[Price | None, NotIdentity()] = Field(
        default=None, description="USD per million tokens: {input: 0.75, cached: 0.075, output: 3.75}; 0 for your own."
    )


def listed_price(options: Options) -> Price | None:
    """Return the option `price`, else the price table's entry of the option `model`, else None."""
    written = getattr(options, "price", None)
    if isinstance(written, Price):
        return written
    return price_of(str(getattr(options, "model", "")))
