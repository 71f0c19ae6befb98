"""What a reply other than 200 means: try again, give up this record, stop, or come back tomorrow."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError, WmsforgeError
from wmsforge.reasons import BAD_REQUEST, OVERLOADED, PROMPT_TOO_LONG, RATE_LIMIT, SERVER_ERROR
from wmsforge_gemini.endpoint import Endpoint
from wmsforge_gemini.retired import retired

QUOTA_ZONE = ZoneInfo("America/Los_Angeles")
"""At its midnight Google renews the requests per day."""
_TOO_LONG = re.compile(
    r"token count .*exceeds|exceeds the maximum number of tokens|payload size exceeds", re.IGNORECASE
)
_WRONG_KEY = re.compile(r"API key (not valid|not found|expired)|API_KEY_INVALID", re.IGNORECASE)
_NO_CREDIT = re.compile(r"spending cap|credits? (is|are) depleted|prepay", re.IGNORECASE)
_WRONG_OPTION = re.compile(
    r"thinking.?(level|config|budget)|service.?tier|response.?(json.?)?schema|safety.?setting", re.IGNORECASE
)
_PER_DAY = re.compile(r"PerDay", re.IGNORECASE)


def failure(endpoint: Endpoint, status: int, body: Any, headers: Mapping[str, str]) -> WmsforgeError:
    """Return the error that a reply with this status stands for.

    Args:
        body: The parsed JSON, or any text that came instead.
    """
    message, details = _told(body)
    said, raw = f"({status}): {endpoint.quote(message)}", endpoint.keep(body)
    if status == 429:
        return _exhausted(endpoint, said, raw, message, details, wait_hint_s(details, headers))
    if status in (401, 403) or (status == 400 and _WRONG_KEY.search(f"{message} {details}")):
        return AuthenticationError(f"{endpoint}: Google refuses the key {said}")
    if status == 404:
        return _not_found(endpoint, said, message)
    if 300 <= status < 400 or status == 405:
        return _nobody(endpoint, said)
    if status in (503, 529):
        return RetryableError(OVERLOADED, f"{endpoint} {said}", wait_hint_s(details, headers), raw)
    if status >= 500 or status in (408, 499):
        return RetryableError(SERVER_ERROR, f"{endpoint} {said}", wait_hint_s(details, headers), raw)
    if status == 413 or _TOO_LONG.search(message):
        return RecordError(PROMPT_TOO_LONG, f"{endpoint} {said}", raw)
    if "location is not supported" in message:
        return StepError(f"{endpoint}: Google does not serve this place {said}\nRun from a country that it serves.")
    if _WRONG_OPTION.search(message):
        return StepError(
            f"{endpoint}: the model does not take what every call sends {said}\n"
            f"Correct the model's options thinking_level, service_tier or safety, or choose another model."
        )
    return RecordError(BAD_REQUEST, f"{endpoint} {said}", raw)


def _exhausted(
    endpoint: Endpoint, said: str, raw: str, message: str, details: list[dict[str, Any]], hint_s: float | None
) -> WmsforgeError:
    """Return the error of a 429: of a minute's quota, of a day's, or of one that never comes back by waiting."""
    if _NO_CREDIT.search(message):
        return ParkedError(
            f"{endpoint}: the account's credit is used up {said}\n"
            f"Add credit or raise the cap, then run the same command again; stored calls are kept."
        )
    violations = list(_violations(details))
    if any(str(violation.get("quotaValue")) == "0" for violation in violations):
        return StepError(
            f"{endpoint}: this key has no quota at all for the model {said}\n"
            f"Choose another model, or set up billing for the key's project."
        )
    daily = [violation for violation in violations if _PER_DAY.search(str(violation.get("quotaId")))]
    if daily:
        quota = endpoint.quote(str(daily[0].get("quotaId")))
        limit = f" of {endpoint.quote(str(daily[0]['quotaValue']))}" if "quotaValue" in daily[0] else ""
        return ParkedError(
            f"{endpoint}: the day's quota{limit} is used up ({quota}) {said}",
            reset_at=next_reset(datetime.now(UTC)).isoformat(timespec="seconds"),
        )
    return RetryableError(RATE_LIMIT, f"{endpoint} {said}", hint_s, raw)


def _not_found(endpoint: Endpoint, said: str, message: str) -> StepError:
    if "model" not in message.lower():
        return _nobody(endpoint, said)
    gone = retired(endpoint.model)
    listed = "Correct model; https://ai.google.dev/gemini-api/docs/models lists them."
    remedy = f"It was shut down. Set model: {gone.use}" if gone else listed
    return StepError(f"{endpoint}: Google has no such model {said}\n{remedy}")


def _nobody(endpoint: Endpoint, said: str) -> StepError:
    return StepError(
        f"{endpoint}: nothing answers at {endpoint.base_url} {said}\n"
        f"Correct base_url, or leave it out for Google's own."
    )


def next_reset(now: datetime) -> datetime:
    """Return when the requests per day are renewed next: midnight in Los Angeles."""
    today = now.astimezone(QUOTA_ZONE).date()
    return datetime.combine(today + timedelta(days=1), datetime.min.time(), QUOTA_ZONE)


def wait_hint_s(details: list[dict[str, Any]], headers: Mapping[str, str]) -> float | None:
    """Return the seconds the server asks to wait: its RetryInfo, else Retry-After; None when it says nothing."""
    for detail in details:
        if str(detail.get("@type", "")).endswith("google.rpc.RetryInfo"):
            match = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay", "")))
            if match:
                return float(match[1])
    try:
        hint = float(headers.get("retry-after") or "")
    except ValueError:
        return None
    return max(0.0, hint) if math.isfinite(hint) else None


def _told(body: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return an error's message and details; a body without them is the message itself."""
    inner = body[0] if isinstance(body, list) and len(body) == 1 else body
    inner = inner.get("error", inner) if isinstance(inner, dict) else inner
    if not isinstance(inner, dict):
        return str(inner), []
    details = inner.get("details")
    found = [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    return str(inner.get("message") or inner), found


def _violations(details: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for detail in details:
        if str(detail.get("@type", "")).endswith("google.rpc.QuotaFailure"):
            told = detail.get("violations")
            yield from (each for each in (told if isinstance(told, list) else []) if isinstance(each, dict))
