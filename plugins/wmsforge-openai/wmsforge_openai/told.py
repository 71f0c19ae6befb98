"""What the body of an error says, in the dialects of those that speak OpenAI's protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """The parts of an error that decide what follows from it."""

    codes: frozenset[str]
    """Its `code`, `type`, `status`, and the reasons of Google's details."""
    message: str
    delay: object = None
    """The retryDelay of Google's RetryInfo, as written."""
    quotas: tuple[str, ...] = ()
    """The quotas that Google's QuotaFailure names."""


def read_error(content: bytes) -> Told:
    """Return what an error says; content that is no JSON is the message itself.

    OpenAI nests it in `error`; older vLLM has it at the top, FastAPI says `detail`, and Google's
    OpenAI endpoint wraps all of it in a list.
    """
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return Told(frozenset(), content.decode(errors="replace").strip())
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    inner = told.get("error", told) if isinstance(told, dict) else told
    if not isinstance(inner, dict):
        return Told(frozenset(), str(inner))
    details = list(_mappings(inner.get("details")))
    codes = [inner.get("code"), inner.get("type"), inner.get("status"), *(detail.get("reason") for detail in details)]
    violations = [violation for detail in details for violation in _mappings(detail.get("violations"))]
    return Told(
        frozenset(code for code in codes if isinstance(code, str)),
        str(inner.get("message") or inner.get("detail") or inner),
        next((detail["retryDelay"] for detail in details if "retryDelay" in detail), None),
        tuple(str(violation.get("quotaId") or violation.get("quotaMetric") or "") for violation in violations),
    )


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
