"""Server: a model in, an address out."""

from __future__ import annotations

from abc import abstractmethod

from wmsforge.records import Artifact
from wmsforge.steps.base import Component


class Server(Component):
    """Puts a model or an API behind an address until it is stopped."""

    @abstractmethod
    async def start(self, source: Artifact) -> Artifact:
        """Start serving and return an Artifact of kind 'endpoint' once it really answers."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop serving; finish what is under way, leave no process behind. Called after a failed start, too."""
