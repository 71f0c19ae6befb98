"""Loader: sources in, Documents out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path

from wmsforge.records import Document
from wmsforge.steps.base import Component


class Loader(Component):
    """Turns each source into Documents; the engine drops contents it has seen already."""

    @abstractmethod
    def sources(self) -> Iterable[Path | str]:
        """Return what there is to load, in a stable order: paths, or ids of the loader's own."""

    @abstractmethod
    def load(self, source: Path | str) -> Iterable[Document]:
        """Return the Documents of one source.

        Raises:
            RecordError: If the source cannot be read; it is reported and skipped.
        """
