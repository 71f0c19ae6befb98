"""What a reply other than 200 means: try again, give up this record, stop, or come back later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from wmsforge.errors import (
    LONGEST_WAIT_S,
    AuthenticationError,
    ParkedError,
    RecordError,
    RetryableError,
    StepError,
    WmsforgeError,
)
from wmsforge.reasons import BAD_REQUEST, OVERLOADED, PROMPT_TOO_LONG, RATE_LIMIT, REFUSAL, SERVER_ERROR
from wmsforge_openai.endpoint import Endpoint
from wmsforge_openai.hints import wait_hint_s
from wmsforge_openai.told import Told, read_error

_TOO_LONG = re.compile(
    r"context[\s_]*(length|size|window)|maximum context|(prompt|input) is too long|"
    r"(input token count|number of tokens).{0,40}exceeds|^request too large",
    re.IGNORECASE,
)
"""Servers agree on status 400 and on little else; seen with OpenAI, vLLM, SGLang, llama.cpp and Google."""
_WRONG_KEY = re.compile(r"api[ _]key[ _](not valid|expired|not found)", re.IGNORECASE)
_A_DAY = re.compile(r"per[\s_-]?day|\([RT]PD\)|daily", re.IGNORECASE)
_UNSUPPORTED = {"unsupported_parameter", "unsupported_value"}
_FILTERED = {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"}
PARK_AFTER_S = 60.0
"""A day's quota that rolls (OpenAI's of 10,000 gives a request back every 8.64 s) is waited for up to here."""
GOOGLE_ZONE = "America/Los_Angeles"
"""Where midnight renews Google's quotas of a day."""


def failure(endpoint: Endpoint, status: int, headers: Mapping[str, str], content: bytes) -> WmsforgeError:
    """Return the error that a reply with this status stands for."""
    told = read_error(content)
    said = f"({status}): {endpoint.quote(told.message)}"
    if status == 402 or "insufficient_quota" in told.codes:
        return ParkedError(
            f"{endpoint}: the account's quota is used up {said}\n"
            f"Add credit or wait until it is renewed, then run the same command again; stored calls are kept."
        )
    return (
        _setting(endpoint, status, headers, told, said)
        or _passing(endpoint, status, headers, told, said, content)
        or _of_the_request(endpoint, status, told, said, content)
    )


def _setting(endpoint: Endpoint, status: int, headers: Mapping[str, str], told: Told, said: str) -> StepError | None:
    """Return the error of a key, an address or an option that no request can succeed with."""
    if "model_not_found" in told.codes or (status == 404 and "model" in told.message.lower()):
        return StepError(
            f"{endpoint}: the server has no such model for this key {said}\n"
            f"Correct model; list what it has: {endpoint.base_url}/models"
        )
    if status in (401, 403) or "API_KEY_INVALID" in told.codes or (status == 400 and _WRONG_KEY.search(told.message)):
        found = "refuses the key" if endpoint.key else "asks for a key"
        return AuthenticationError(f"{endpoint}: the server {found} {said}")
    if status in (404, 405) or 300 <= status < 400:
        found = (
            f"moved to {endpoint.quote(headers['Location'])}"
            if "Location" in headers
            else f"nothing answers {endpoint.path}"
        )
        return StepError(
            f"{endpoint}: {found} {said}\nCorrect base_url; it usually ends in /v1, without /{endpoint.path}."
        )
    if told.codes & _UNSUPPORTED:
        return StepError(
            f"{endpoint}: the model does not take what every call sends {said}\n"
            f"Set max_tokens_field, or leave a field out: extra_body: {{temperature: null}}"
        )
    return None


def _passing(
    endpoint: Endpoint, status: int, headers: Mapping[str, str], told: Told, said: str, content: bytes
) -> RetryableError | ParkedError | None:
    """Return the error of a server that may answer later, and when."""
    hint_s = wait_hint_s(headers, told.message, told.delay)
    if status == 429 and not _TOO_LONG.search(told.message):  # else larger than the tokens of a whole minute
        of_google = any(map(_A_DAY.search, told.quotas))
        if of_google or (_A_DAY.search(told.message) and (hint_s is None or hint_s > PARK_AFTER_S)):
            return _day_is_over(endpoint, said, None if of_google else hint_s, of_google=of_google)
        return RetryableError(RATE_LIMIT, f"{endpoint} {said}", hint_s, endpoint.raw(content))
    if status in (503, 529):
        return RetryableError(OVERLOADED, f"{endpoint} {said}", hint_s, endpoint.raw(content))
    if status >= 500 or status == 408:
        return RetryableError(SERVER_ERROR, f"{endpoint} {said}", hint_s, endpoint.raw(content))
    return None


def _day_is_over(endpoint: Endpoint, said: str, hint_s: float | None, *, of_google: bool) -> ParkedError:
    reset: datetime | None = None
    if of_google:  # whose RetryInfo then speaks of the minute
        now = datetime.now(ZoneInfo(GOOGLE_ZONE))
        reset = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    elif hint_s is not None:
        reset = datetime.now(UTC) + timedelta(seconds=min(hint_s, LONGEST_WAIT_S))
    return ParkedError(
        f"{endpoint}: the day's quota is used up {said}",
        reset_at=reset.isoformat(timespec="seconds") if reset is not None else None,
    )


def _of_the_request(endpoint: Endpoint, status: int, told: Told, said: str, content: bytes) -> RecordError:
    """Return the error of a request that the server will never take."""
    if told.codes & _FILTERED:
        reason = REFUSAL
    elif status == 413 or _TOO_LONG.search(told.message) or any(map(_TOO_LONG.search, told.codes)):
        reason = PROMPT_TOO_LONG
    else:
        reason = BAD_REQUEST
    return RecordError(reason, f"{endpoint} {said}", endpoint.raw(content))
