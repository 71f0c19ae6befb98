"""What a reply other than 200 means: try again, give up this record, stop, or come back later."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from wmsforge.errors import ParkedError, RecordError, RetryableError, StepError, WmsforgeError
from wmsforge_openai.endpoint import Endpoint

_TOO_LONG = re.compile(r"context[\s_]*(length|size|window)|maximum context|(prompt|input) is too long", re.IGNORECASE)
"""Servers agree on status 400 and on little else; seen with OpenAI, vLLM, SGLang and llama.cpp."""
_UNSUPPORTED = {"unsupported_parameter", "unsupported_value"}


def failure(endpoint: Endpoint, status: int, headers: Mapping[str, str], content: bytes) -> WmsforgeError:
    """Return the error that a reply with this status stands for."""
    codes, message = _told(content)
    said = f"({status}): {endpoint.quote(message)}"
    if status == 402 or "insufficient_quota" in codes:
        return ParkedError(
            f"{endpoint}: the account's quota is used up {said}\n"
            f"Add credit or wait until it is renewed, then run the same command again; stored calls are kept."
        )
    if "model_not_found" in codes or (status == 404 and "model" in message.lower()):
        listing = endpoint.url.removesuffix("/chat/completions") + "/models"
        return StepError(
            f"{endpoint}: the server has no such model for this key {said}\nCorrect model; list what it has: {listing}"
        )
    if status in (401, 403):
        remedy = "Check the variable that the option api_key names." if endpoint.key else "Set the option api_key."
        return StepError(
            f"{endpoint}: the server refuses the key {said}\n{remedy} For example: api_key: ${{OPENAI_API_KEY}}"
        )
    if status in (404, 405) or 300 <= status < 400:
        found = f"moved to {headers['Location']}" if "Location" in headers else "nothing answers chat completions"
        return StepError(
            f"{endpoint}: {found} {said}\nCorrect base_url; it usually ends in /v1, without /chat/completions."
        )
    if status == 429:
        return RetryableError("rate_limit", f"{endpoint} {said}", after_s=wait_hint_s(headers))
    if status >= 500 or status == 408:
        return RetryableError("server_error", f"{endpoint} {said}", after_s=wait_hint_s(headers))
    if codes & _UNSUPPORTED:
        return StepError(
            f"{endpoint}: the model does not take what every call sends {said}\n"
            f"Set max_tokens_field, or leave a field out: extra_body: {{temperature: null}}"
        )
    if status == 413 or _TOO_LONG.search(message) or any(map(_TOO_LONG.search, codes)):
        return RecordError("prompt_too_long", f"{endpoint} {said}")
    return RecordError("bad_request", f"{endpoint} {said}")


def _told(content: bytes) -> tuple[set[str], str]:
    """Return the error's codes (`code` and `type`) and its message; other content is the message itself.

    OpenAI nests them in `error`; older vLLM has them at the top, FastAPI says `detail`.
    """
    try:
        told = json.loads(content)
    except ValueError:
        return set(), content.decode(errors="replace").strip()
    inner = told.get("error", told) if isinstance(told, dict) else told
    if not isinstance(inner, dict):
        return set(), str(inner)
    codes = {code for code in (inner.get("code"), inner.get("type")) if isinstance(code, str)}
    return codes, str(inner.get("message") or inner.get("detail") or inner)


def wait_hint_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a server asks to wait, at least 0, or None when it says nothing readable.

    Reads `retry-after-ms` (OpenAI, Azure) before `Retry-After`, which holds seconds or an HTTP date.
    """
    hint = _number(headers.get("retry-after-ms"))
    if hint is not None:
        return max(0.0, hint / 1000)
    written = headers.get("Retry-After")
    hint = _number(written)
    if hint is None and written:
        try:
            hint = (parsedate_to_datetime(written) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # not a date; TypeError: a date without a zone
            return None
    return None if hint is None else max(0.0, hint)


def _number(written: str | None) -> float | None:
    try:
        number = float(written or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
