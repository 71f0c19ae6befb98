"""Filter: a Question or an Answer in, a Verdict out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from wmsforge.records import Answer, Question
from wmsforge.steps.base import Component

Item = Question | Answer


class Verdict(BaseModel):
    """A filter's decision on one record."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    keep: bool
    reason: str = Field(default="", description="A short code when dropped, such as `not_korean`.")
    detail: str = Field(default="", description="A sentence for people, with the number that decided.")
    score: float = Field(default=1.0, description="How good the record is, 0..1; used to choose among candidates.")
    replacement: Item | None = Field(default=None, description="The record to go on with, when changed.")


KEEP = Verdict(keep=True)


def drop(reason: str, detail: str = "", score: float = 0.0) -> Verdict:
    """Return a verdict that drops the record."""
    return Verdict(keep=False, reason=reason, detail=detail, score=score)


class Filter(Component):
    """Decides on one record at a time.

    Write `check` as a plain method (it runs in a worker thread, records in batches) or as
    `async def` when it awaits a model.
    """

    accepts: ClassVar[tuple[type[Item], ...]] = (Question, Answer)
    """Which records it can judge; the plan checks the wiring."""

    @abstractmethod
    def check(self, record: Item) -> Verdict | Awaitable[Verdict]:
        """Return the verdict on one record."""


class CorpusFilter(Component):
    """Decides on all records of a step together, for what one record alone cannot tell."""

    accepts: ClassVar[tuple[type[Item], ...]] = (Question, Answer)

    @abstractmethod
    async def check_all(self, records: Sequence[Item]) -> list[Verdict]:
        """Return one verdict a record, in their order. Must not depend on that order."""
