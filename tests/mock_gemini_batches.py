"""Batch jobs of the fake Gemini server: made, listed, waited for, cancelled and deleted as Google's are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mock_gemini_bodies import error

JOB_FAULTS = ("failed", "expired", "cancelled", "partial")
"""How a job may end that does not succeed; of a `partial` one every third request fails."""
ENDS = {"failed": "FAILED", "expired": "EXPIRED", "cancelled": "CANCELLED", "partial": "PARTIALLY_SUCCEEDED"}

Answer = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""(model, request) -> {'response': body} or {'error': google.rpc.Status}."""


@dataclass
class Job:
    """One job. Its requests are answered when it is first seen to be done."""

    name: str
    display_name: str
    model: str
    requests: list[dict[str, Any]]
    made_at: float
    end: str = "SUCCEEDED"
    results: list[dict[str, Any]] | None = None
    cancelled: bool = False


@dataclass
class Batches:
    """All jobs of one server.

    Args:
        seconds: From a job's creation to its end; it runs from a third of that on.
        faults: Ends of the first jobs, from `JOB_FAULTS`; later ones succeed.
        keeps_metadata: Whether results carry their request's metadata; Google's have come without.
    """

    answer: Answer
    seconds: float = 0.0
    faults: tuple[str, ...] = ()
    keeps_metadata: bool = True
    page: int = 2
    """Jobs on one page of a list: few, so that clients must ask for the next one."""
    jobs: dict[str, Job] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """Display names of all jobs ever made, deleted ones too."""

    def create(self, model: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        batch = body.get("batch", {})
        requests = batch.get("inputConfig", {}).get("requests", {}).get("requests")
        if not requests or not batch.get("displayName"):
            return 400, error(400, "batch.displayName and inlined requests are required.", "INVALID_ARGUMENT")
        number = len(self.made)
        end = ENDS[self.faults[number]] if number < len(self.faults) else "SUCCEEDED"
        job = Job(f"batches/job{number}", batch["displayName"], model, requests, time.monotonic(), end)
        self.jobs[job.name] = job
        self.made.append(job.display_name)
        return 200, self._operation(job)

    def handle(self, method: str, path: str, query: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer a request for `batches...`; `path` is without the API's version."""
        if path == "batches" and method == "GET":
            start = int(query.get("pageToken") or 0)
            stop = start + min(self.page, int(query.get("pageSize") or self.page))
            newest = list(self.jobs.values())[::-1]
            found: dict[str, Any] = {"operations": [self._operation(job, full=False) for job in newest[start:stop]]}
            return 200, found | ({"nextPageToken": str(stop)} if stop < len(newest) else {})
        name, _, verb = path.partition(":")
        job = self.jobs.get(name)
        if job is None:
            return 404, error(404, "Requested entity was not found.", "NOT_FOUND")
        if method == "GET":
            return 200, self._operation(job)
        if method == "DELETE":
            del self.jobs[name]
            return 200, {}
        if method == "POST" and verb == "cancel":
            if self._state(job) in ("PENDING", "RUNNING"):
                job.cancelled = True
            return 200, {}
        return 404, error(404, f"Not found: {method} {path}", "NOT_FOUND")

    def _state(self, job: Job) -> str:
        if job.cancelled:
            return "CANCELLED"
        age = time.monotonic() - job.made_at
        if age >= self.seconds:
            return job.end
        return "RUNNING" if age >= self.seconds / 3 else "PENDING"

    def _operation(self, job: Job, *, full: bool = True) -> dict[str, Any]:
        state = self._state(job)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        count = len(job.requests)
        done = job.cancelled or time.monotonic() - job.made_at >= self.seconds
        metadata: dict[str, Any] = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "name": job.name,
            "displayName": job.display_name,
            "model": f"models/{job.model}",
            "createTime": now,
            "updateTime": now,
            "state": f"BATCH_STATE_{state}",
            "batchStats": {"requestCount": str(count), "pendingRequestCount": "0" if done else str(count)},
        }
        operation: dict[str, Any] = {"name": job.name, "metadata": metadata}
        if not done:
            return operation
        operation["done"] = True
        if state in ("SUCCEEDED", "PARTIALLY_SUCCEEDED"):
            if full:
                output = {"inlinedResponses": {"inlinedResponses": self._results(job)}}
                metadata["output"] = output
                kind = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatchOutput"
                operation["response"] = {"@type": kind, **output}
        elif state == "FAILED":
            operation["error"] = {"code": 13, "message": "The batch could not be processed."}
        else:
            operation["error"] = {"code": 1, "message": f"The batch was {state.lower()}."}
        return operation

    def _results(self, job: Job) -> list[dict[str, Any]]:
        if job.results is None:
            job.results = []
            for number, asked in enumerate(job.requests):
                if job.end == "PARTIALLY_SUCCEEDED" and number % 3 == 2:
                    result: dict[str, Any] = {"error": {"code": 13, "message": "Internal error encountered."}}
                else:
                    result = self.answer(job.model, asked["request"])
                if self.keeps_metadata and "metadata" in asked:
                    result["metadata"] = asked["metadata"]
                job.results.append(result)
        return job.results
