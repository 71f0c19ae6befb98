"""Reading a batch job as Google tells of it: its state, and what became of each of its requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wmsforge.errors import RetryableError, StepError, WmsforgeError
from wmsforge.reasons import MALFORMED_RESPONSE, SERVER_ERROR, TIMEOUT
from wmsforge.steps.chat_model import ChatResponse
from wmsforge_gemini.endpoint import Endpoint
from wmsforge_gemini.failures import failure
from wmsforge_gemini.reply import read_body

STATUS = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 14: 503, 16: 401}
"""HTTP status of a google.rpc.Code; 500 for others."""
ANSWERED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED"})
GONE = "GONE"
"""Our word for a job that Google knows no more."""
ENDED = ANSWERED | {"FAILED", "CANCELLED", "EXPIRED", GONE}


@dataclass(frozen=True)
class Seen:
    """A job at one moment."""

    name: str
    display_name: str
    state: str
    """Without its prefix: PENDING, RUNNING, SUCCEEDED ..."""
    results: list[dict[str, Any]] = field(default_factory=list)
    """For each request `response` or `error`, and `metadata` where Google gives it back."""
    error: Any = None
    done: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it. A state that is new to us is waited for until Google says it is done."""
        return self.done or self.state in ENDED


def seen(endpoint: Endpoint, operation: Any) -> Seen:
    """Return what an Operation of a batch job says.

    Raises:
        RetryableError: If it is none.
    """
    try:
        metadata = operation.get("metadata") or {}
        output = metadata.get("output") or operation.get("response") or {}
        found = output.get("inlinedResponses") or {}
        return Seen(
            name=operation["name"],
            display_name=metadata.get("displayName", ""),
            state=metadata.get("state", "").rpartition("STATE_")[2],
            results=list(found.get("inlinedResponses") or []),
            error=operation.get("error"),
            done=operation.get("done") is True,
        )
    except (LookupError, TypeError, AttributeError) as error:
        detail = f"{endpoint} sent no batch job: {endpoint.quote(operation)}"
        raise RetryableError(MALFORMED_RESPONSE, detail, raw=endpoint.keep(operation)) from error


def not_answered(endpoint: Endpoint, job: Seen) -> WmsforgeError:
    """Return the error of a job that ended without answers."""
    raw = endpoint.keep(job.error)
    if job.state == "CANCELLED":
        return StepError(
            f"{endpoint}: the batch job {job.name} was cancelled.\n"
            f"Run the same command again to send its requests anew, or without batch: true to ask one by one."
        )
    if job.state in ("EXPIRED", GONE):
        what = "expired unanswered" if job.state == "EXPIRED" else "is gone; Google keeps answers for two days"
        return RetryableError(TIMEOUT, f"{endpoint}: the batch job {job.name} {what}", raw=raw)
    if job.error:
        return _of_status(endpoint, job.error)
    return RetryableError(SERVER_ERROR, f"{endpoint}: the batch job {job.name} ended as {job.state}", raw=raw)


def by_key(endpoint: Endpoint, keys: list[str], job: Seen) -> dict[str, dict[str, Any]]:
    """Return each request's result.

    Results carry the key that was sent with their request. Where Google leaves it out, they stand in the
    order of the requests, as it promises; that holds only if none is missing.

    Raises:
        RetryableError: If it cannot be told which result is whose.
    """
    named = {
        key: result
        for result in job.results
        if isinstance(result, dict) and (key := (result.get("metadata") or {}).get("key"))
    }
    if named or not job.results:
        return named
    if len(job.results) == len(keys):
        return dict(zip(keys, job.results, strict=True))
    detail = f"{endpoint}: the batch job {job.name} gave {len(job.results)} nameless results to {len(keys)} requests"
    raise RetryableError(MALFORMED_RESPONSE, detail)


def read_result(endpoint: Endpoint, result: dict[str, Any] | None) -> ChatResponse:
    """Return the response to one request of a job.

    Raises:
        WmsforgeError: As `read_reply` and `failure`.
    """
    if result is None:
        raise RetryableError(SERVER_ERROR, f"{endpoint}: the batch job left this request out")
    if result.get("error"):
        raise _of_status(endpoint, result["error"])
    return read_body(endpoint, result.get("response"))


def _of_status(endpoint: Endpoint, status: Any) -> WmsforgeError:
    """Return the error that a google.rpc.Status stands for."""
    code = status.get("code") if isinstance(status, dict) else None
    http = code if isinstance(code, int) and code >= 400 else STATUS.get(code or 0, 500)
    return failure(endpoint, http, {"error": status}, {})
