"""Exporters: records in and a dataset out, or a model in and another form of it out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from wmsforge.records import Answer, Artifact
from wmsforge.steps.base import Component


@dataclass(frozen=True)
class Origin:
    """What a dataset says about where it comes from."""

    recipe: str
    """Name of the recipe."""
    fingerprint: str
    """Fingerprint of the dataset step, 16 hex digits."""
    run: str
    """Id of the run that made it."""


class DatasetExporter(Component):
    """Writes kept answers as a dataset.

    Name the option that says where `path`: a preview (`run --limit N`) redirects it, so that it
    never replaces the full dataset.
    """

    @abstractmethod
    def export(self, answers: Iterable[Answer], origin: Origin) -> Artifact:
        """Write all answers; `facts["rows"]` of the Artifact is how many were written.

        The files appear complete or not at all, and the same answers give the same bytes.
        """


class ModelExporter(Component):
    """Turns a model or an adapter into another form: merged, quantised, converted, published."""

    @abstractmethod
    async def export(self, model: Artifact) -> Artifact:
        """Return the new model."""
