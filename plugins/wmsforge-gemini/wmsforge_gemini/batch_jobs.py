"""Batch jobs as files: what was sent to Google, known again by the next run, however this one ends.

A file is there before its job is created and gone when the last answer was taken. It holds digests of the
requests, no prompt and no key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from wmsforge.errors import StepError
from wmsforge.files import write_atomically

KEPT = timedelta(days=7)
"""Google keeps a job's answers for two days; what is older than this is of no use."""


@dataclass
class Job:
    """One batch job."""

    display_name: str
    """A digest of its requests and a random part: by it a job is found that was created without telling its name."""
    keys: list[str]
    """Its requests by digest, in the order in which they were sent."""
    made_at: str
    name: str = ""
    """Google's name, `batches/...`; empty until the job is known to exist."""
    taken: set[str] = field(default_factory=set)
    """Requests whose answers were handed out."""

    @property
    def open_keys(self) -> list[str]:
        return [key for key in self.keys if key not in self.taken]


class JobFolder:
    """The jobs of one model, a file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> list[Job]:
        """Return the jobs whose answers were not all taken, the oldest first.

        Raises:
            StepError: If a file is none of ours.
        """
        jobs = [self._read(path) for path in self._folder.glob("*.json")]
        oldest = (datetime.now(UTC) - KEPT).isoformat()
        for job in jobs:
            if job.made_at < oldest:
                self.forget(job)
        return sorted((job for job in jobs if job.made_at >= oldest), key=lambda job: job.made_at)

    def plan(self, keys: Iterable[str]) -> Job:
        """Store a job that is about to be created."""
        ordered = list(keys)
        digest = blake2b("\n".join(sorted(ordered)).encode(), digest_size=8).hexdigest()
        job = Job(f"wmsforge-{digest}-{uuid4().hex[:8]}", ordered, datetime.now(UTC).isoformat())
        self.store(job)
        return job

    def store(self, job: Job) -> None:
        """Write what is known of a job; it is on the disk when this returns."""
        known = {**vars(job), "taken": sorted(job.taken)}
        write_atomically(self._path(job), json.dumps(known).encode())

    def settle(self, job: Job) -> None:
        """Write which answers were taken; a job without any other is done with."""
        if job.open_keys:
            self.store(job)
        else:
            self.forget(job)

    def forget(self, job: Job) -> None:
        self._path(job).unlink(missing_ok=True)

    def _path(self, job: Job) -> Path:
        return self._folder / f"{job.display_name}.json"

    def _read(self, path: Path) -> Job:
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            return Job(**{**known, "taken": set(known["taken"])})
        except (ValueError, TypeError, LookupError) as error:
            raise StepError(
                f"{path} does not hold a batch job: {error}.\nDelete it; what it stood for is asked again."
            ) from error
