"""manifest.json: what a step made. It is written last, so its presence means the step is done."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wmsforge.errors import StepError
from wmsforge.files import write_atomically
from wmsforge.records import Artifact

NAME = "manifest.json"
SCHEMA = 1


class Counts(BaseModel):
    """The conservation law of a step.

    Items come in; each is `ok` or `failed`. Those that are ok made records; each is written
    (`out`) or `dropped`. Where one item makes one record, in = out + rejected.
    """

    read: int = 0
    ok: int = 0
    failed: int = 0
    made: int = 0
    dropped: int = 0
    out: int = 0
    reasons: dict[str, int] = Field(default_factory=dict, description="Reason code -> failed or dropped.")

    @property
    def rejected(self) -> int:
        return self.failed + self.dropped

    def reject(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def check(self, step: str, written: int) -> None:
        """Raise StepError if a record was lost or counted twice."""
        laws = {
            "read = ok + failed": self.read == self.ok + self.failed,
            "made = out + dropped": self.made == self.out + self.dropped,
            "out = records written": self.out == written,
            "rejected = reasons": self.rejected == sum(self.reasons.values()),
        }
        broken = [law for law, holds in laws.items() if not holds]
        if broken:
            raise StepError(
                f"Step {step!r} lost or doubled records: {' and '.join(broken)} does not hold for "
                f"{self.model_dump()} with {written} written.\nThis is a fault of wmsforge or of the step's plugin: "
                f"report it with .wmsforge's events.jsonl."
            )


class CallCounts(BaseModel):
    """Model calls that a step made in one run, by model."""

    calls: int = Field(default=0, description="Calls made in this run.")
    reused: int = Field(default=0, description="Calls the ledger answered.")
    retries: int = 0
    failures: dict[str, int] = Field(default_factory=dict, description="Reason -> tries that ended with it.")
    prompt_tokens: int = Field(default=0, description="Of the calls made; failed tries that were paid count too.")
    cached_tokens: int = 0
    completion_tokens: int = 0
    thought_tokens: int = 0
    cost_usd: float | None = Field(default=None, description="Null if the price is unknown.")

    def pay(self, usage: Mapping[str, int], cost_usd: float | None) -> None:
        """Add what a call or a try used."""
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens", "thought_tokens"):
            if used := usage.get(name):
                setattr(self, name, getattr(self, name) + used)
        if cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + cost_usd


class Paid(BaseModel):
    """What was paid for over all runs, out of the ledger: each request once, however often it was reused."""

    calls: int = Field(default=0, description="Requests that were answered.")
    attempts: int = Field(default=0, description="Requests that failed, or whose end no one saw.")
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    thought_tokens: int = 0
    cost_usd: float = Field(default=0.0, description="Of the requests with a known price.")
    unpriced: int = Field(default=0, description="Requests whose price is unknown.")
    uncertain_usd: float = Field(default=0.0, description="What requests whose end no one saw may have cost at most.")
    uncertain_tokens: int = 0

    def __add__(self, other: Paid) -> Paid:
        mine, theirs = self.model_dump(), other.model_dump()
        return Paid(**{name: mine[name] + theirs[name] for name in mine})

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens + self.thought_tokens


class Manifest(BaseModel):
    """Everything worth knowing about a finished step."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    step: str
    kind: str
    components: list[dict[str, str]] = Field(description="name, plugin and version of each component.")
    fingerprint: str
    identity: dict[str, Any] = Field(description="What the fingerprint is the hash of.")
    inputs: dict[str, str] = Field(
        default_factory=dict, description="Step -> digest of what it made, for each step needed."
    )
    digest: str = Field(description="SHA-256 of the records' bytes, or of the artifact.")
    counts: Counts = Counts()
    calls: dict[str, CallCounts] = Field(default_factory=dict, description="Calls of this run, by model.")
    paid: dict[str, Paid] = Field(default_factory=dict, description="Paid over all runs, by model.")
    environments: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Environment that jobs ran in -> its digest, Python and packages."
    )
    artifact: Artifact | None = None
    also: dict[str, str] = Field(default_factory=dict, description="Further file of the artifact -> its SHA-256.")
    bytes_: int = Field(default=0, alias="bytes", description="Size of all parts of a record step.")
    run: str = ""
    started_at: str = ""
    seconds: float = 0.0

    def write(self, folder: Path) -> None:
        """Write the manifest, durably."""
        write_atomically(folder / NAME, self.model_dump_json(indent=2, by_alias=True).encode() + b"\n")

    @staticmethod
    def remove(folder: Path) -> None:
        """Say that the step is not done; what it made stays."""
        (folder / NAME).unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """Return the manifest of a finished step, None when there is none.

        A manifest of another schema or one that does not parse counts as none: the step runs again.
        """
        try:
            manifest = cls.model_validate_json((folder / NAME).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None
        return manifest if manifest.schema_ == SCHEMA else None
