"""Retriever: Documents in, an index that finds Passages out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from wmsforge.records import Artifact, Document, Retrieved
from wmsforge.steps.base import Component


class Retriever(Component):
    """Indexes Documents in `context.folder` and finds Passages for a query.

    `build` may be called again with other documents; it should reuse what it can. After `build`,
    or `load` in a later process, `search` works.
    """

    reads_documents: ClassVar[bool] = True
    """False for one that opens an index made elsewhere: its step has no 'from', and `build` gets no documents."""

    @abstractmethod
    async def build(self, documents: Iterable[Document]) -> Artifact:
        """Index these documents, durably, and forget those that are gone."""

    @abstractmethod
    async def load(self) -> None:
        """Open the index that `build` left.

        Raises:
            StepError: If it is missing or torn.
        """

    @abstractmethod
    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        """Return at most `top_k` passages, best first; fewer when nothing else matches."""
