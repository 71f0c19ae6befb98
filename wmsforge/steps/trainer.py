"""Trainer: a dataset in, an adapter or a checkpoint out."""

from __future__ import annotations

from abc import abstractmethod

from wmsforge.records import Artifact
from wmsforge.steps.base import Component


class Trainer(Component):
    """Trains in `context.folder`. The same command after a crash calls `train` again to continue."""

    @abstractmethod
    async def train(self, dataset: Artifact) -> Artifact:
        """Return an Artifact of kind 'adapter' or 'model'; `facts` says how many rows were used."""
