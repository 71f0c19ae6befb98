"""How long a server asks to wait: in its headers, in Google's error details, or in its words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_DURATION = re.compile(r"(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_PARTS_S = (86_400, 3_600, 60, 1, 0.001)
_TOLD = re.compile(r"(?:try again|retry) in ((?:\d+(?:\.\d+)?(?:d|h|ms|m|s))+)", re.IGNORECASE)


def wait_hint_s(headers: Mapping[str, str], told: str = "", delay: object = None) -> float | None:
    """Return the seconds a server asks to wait, at least 0, or None when it says nothing readable.

    The most exact one counts: `delay`, the retryDelay of Google's RetryInfo ("1.5s"); `retry-after-ms`
    (OpenAI, Azure); `Retry-After`, which holds seconds or an HTTP date; OpenAI's `x-ratelimit-reset-*`
    of whatever has nothing remaining; "try again in 7m12s" of the message `told`.
    """
    if isinstance(delay, str) and (hint := duration_s(delay)) is not None:
        return hint
    if (hint := _number(headers.get("retry-after-ms"))) is not None:
        return max(0.0, hint / 1000)
    if (hint := _retry_after_s(headers.get("Retry-After"))) is not None:
        return max(0.0, hint)
    resets = [
        hint
        for kind in ("requests", "tokens")
        if _number(headers.get(f"x-ratelimit-remaining-{kind}")) == 0
        and (hint := duration_s(headers.get(f"x-ratelimit-reset-{kind}", ""))) is not None
    ]
    if resets:
        return max(resets)
    found = _TOLD.search(told)
    return duration_s(found[1]) if found else None


def duration_s(written: str) -> float | None:
    """Return the seconds of a duration such as '20ms', '1.5s', '6m0s' or '24h0m0s', None if it is none."""
    found = _DURATION.fullmatch(written.strip())
    if found is None:
        return None
    return sum(float(part) * seconds for part, seconds in zip(found.groups(), _PARTS_S, strict=True) if part)


def _retry_after_s(written: str | None) -> float | None:
    hint = _number(written)
    if hint is None and written:
        try:
            return (parsedate_to_datetime(written) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # not a date; TypeError: a date without a zone
            return None
    return hint


def _number(written: str | None) -> float | None:
    try:
        number = float(written or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
