"""Evaluator: a model or a dataset in, a report out."""

from __future__ import annotations

from abc import abstractmethod

from wmsforge.records import Artifact
from wmsforge.steps.base import Component


class Evaluator(Component):
    """Measures something and says how sure it is."""

    @abstractmethod
    async def evaluate(self, subject: Artifact) -> Artifact:
        """Return an Artifact of kind 'report'; `facts` holds the figures."""
