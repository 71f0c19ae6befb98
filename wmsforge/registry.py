"""(kind, name) -> component. Names are known without importing; a target is imported when used."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from wmsforge.errors import MissingDependencyError, PluginError, did_you_mean
from wmsforge.steps import KINDS


@dataclass(frozen=True)
class Offer:
    """One component that a plugin offers."""

    kind: str
    name: str
    target: str
    summary: str
    plugin: str
    version: str


class Registry:
    """The components of one plugin host."""

    kinds: ClassVar[tuple[str, ...]] = tuple(KINDS)

    def __init__(self) -> None:
        self.offers: list[Offer] = []
        self.disabled: list[Offer] = []
        """What disabled plugins would offer, as far as their source says."""
        self.failed: list[Offer] = []
        """What broken plugins would offer; `summary` holds the plugin's error."""
        self.unavailable: dict[str, str] = {}
        """Plugins that are disabled or broken, and why."""

    def add(self, offer: Offer) -> None:
        """Take an offer. A clash of two plugins is an error when a recipe uses the bare name."""
        self.offers.append(offer)

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted({offer.name for offer in self.offers if offer.kind == kind})

    def clashes(self) -> list[tuple[Offer, Offer]]:
        """Return pairs of plugins that offer the same (kind, name)."""
        first: dict[tuple[str, str], Offer] = {}
        pairs = []
        for offer in self.offers:
            known = first.setdefault((offer.kind, offer.name), offer)
            if known is not offer:
                pairs.append((known, offer))
        return pairs

    def find(self, use: str, kinds: Sequence[str]) -> list[Offer]:
        """Return the offers of these kinds that `use` ("name" or "plugin/name") means.

        Several offers mean the name stands for several kinds.

        Raises:
            PluginError: If two plugins offer the same kind and name, or no one does.
        """
        plugin, _, name = use.rpartition("/")
        matches = [
            offer
            for offer in self.offers
            if offer.name == name and offer.kind in kinds and plugin in ("", offer.plugin)
        ]
        for kind in kinds:
            rivals = [offer for offer in matches if offer.kind == kind]
            if len(rivals) > 1:
                who = " and ".join(f"{offer.plugin} {offer.version}" for offer in rivals)
                raise PluginError(f"{kind} {name!r} is offered by {who}. Choose one: use: {rivals[0].plugin}/{name}")
        if not matches:
            raise PluginError(self._missing(use, name, plugin, kinds))
        return matches

    def _missing(self, use: str, name: str, plugin: str, kinds: Sequence[str]) -> str:
        asked = kinds[0] if len(kinds) == 1 else "component"
        for offer in self.disabled:
            if offer.name == name and offer.kind in kinds and plugin in ("", offer.plugin):
                return (
                    f"{offer.kind} {name!r} comes from the plugin {offer.plugin!r}, which is disabled. "
                    f"Enable it: leave it out of --no-plugin, and name it in WMSFORGE_PLUGINS if that is set."
                )
        for offer in self.failed:
            if offer.name == name and offer.kind in kinds and plugin in ("", offer.plugin):
                return (
                    f"{offer.kind} {name!r} comes from the plugin {offer.plugin!r}, which is installed but failed "
                    f"to load: {offer.summary}. Details: wmsforge plugins --failed"
                )
        other = [offer for offer in self.offers if offer.name == name and plugin in ("", offer.plugin)]
        if other:
            return f"{use!r} is a {other[0].kind}, and a {asked} is needed here."
        known = sorted({offer.name for offer in self.offers if offer.kind in kinds})
        lost = f" Not loaded: {', '.join(sorted(self.unavailable))}." if self.unavailable else ""
        listing = f" List all: wmsforge components{' ' + asked if len(kinds) == 1 else ''}"
        return f"no plugin offers the {asked} {use!r}.{did_you_mean(name, known)}{lost}{listing}"

    def load(self, offer: Offer) -> type[Any]:
        """Import the component's class.

        Raises:
            MissingDependencyError: If a package it needs is not installed.
            PluginError: If the target does not exist or is not of its kind.
        """
        module_name, _, attribute = offer.target.partition(":")
        what = f"{offer.kind} {offer.name!r} of plugin {offer.plugin!r}"
        try:
            target = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(what, error.name or "?", f"pip install {offer.plugin}") from error
        except (ImportError, AttributeError) as error:
            raise PluginError(f"{what} cannot be loaded from {offer.target!r}: {error}.") from error
        contracts = tuple(_contract(path) for path in KINDS[offer.kind])
        if not (isinstance(target, type) and issubclass(target, contracts)):
            raise PluginError(f"{what}: {offer.target!r} is not a subclass of {' or '.join(KINDS[offer.kind])}.")
        return target


def _contract(path: str) -> type[Any]:
    module, _, name = path.partition(":")
    contract: type[Any] = getattr(importlib.import_module(module), name)
    return contract
