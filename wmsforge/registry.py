"""(kind, name) -> component. Names are known without importing; a target is imported when used."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from wmsforge.env.locks import EnvironmentOffer
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
        self.environments: list[EnvironmentOffer] = []
        self.failed: list[Offer] = []
        """What broken plugins would offer; `summary` holds the plugin's error."""
        self.unavailable: dict[str, str] = {}
        """Plugins that are disabled or broken, and why."""

    def add(self, offer: Offer) -> None:
        """Take an offer. A clash of two plugins is an error when a recipe uses the bare name."""
        self.offers.append(offer)

    def environment(self, name: str) -> EnvironmentOffer:
        """Return the environment that is called so.

        Raises:
            PluginError: If no plugin, or more than one, offers it.
        """
        found = [offer for offer in self.environments if offer.name == name]
        if len(found) > 1:
            who = " and ".join(offer.plugin for offer in found)
            raise PluginError(
                f"The environment {name!r} is offered by {who}. Leave one out: --no-plugin {found[0].plugin}"
            )
        if not found:
            known = [offer.name for offer in self.environments]
            raise PluginError(
                f"No environment is called {name!r}.{did_you_mean(name, known)}\nList them: wmsforge env list"
            )
        return found[0]

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

    def find(self, use: str, kinds: Sequence[str], ids: Sequence[str] = ()) -> list[Offer]:
        """Return the offers of these kinds that `use` ("name" or "plugin/name") means.

        Several offers mean the name stands for several kinds. `ids` are what could have stood here
        instead of a component's name; a message that finds nothing offers them too.

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
                who = " and ".join(f"{offer.plugin!r} {offer.version}" for offer in rivals)
                raise PluginError(f"{kind} {name!r} is offered by {who}. Choose one: use: {rivals[0].plugin}/{name}")
        if not matches:
            raise PluginError(self._missing(use, name, plugin, kinds, ids))
        return matches

    def _missing(self, use: str, name: str, plugin: str, kinds: Sequence[str], ids: Sequence[str]) -> str:
        for offer in (*self.disabled, *self.failed):
            if offer.name == name and offer.kind in kinds and plugin in ("", offer.plugin):
                comes_from = f"{offer.kind} {name!r} comes from the plugin {offer.plugin!r}, which"
                if offer in self.disabled:
                    return (
                        f"{comes_from} is disabled. Enable it: leave it out of --no-plugin, "
                        f"and name it in WMSFORGE_PLUGINS if that is set."
                    )
                return (
                    f"{comes_from} is installed but failed to load: {offer.summary}. Details: wmsforge plugins --failed"
                )
        asked = kinds[0] if len(kinds) == 1 else "component"
        for offer in self.offers:
            if offer.name == name and plugin in ("", offer.plugin):
                return f"{use!r} is {a(offer.kind)}, and {a(asked)} is needed here."
        plugins = sorted({offer.plugin for offer in self.offers} | set(self.unavailable))
        if plugin and plugin not in plugins:
            return f"no plugin {plugin!r} is installed.{did_you_mean(plugin, plugins)} List them: wmsforge plugins"
        known = [offer.name for offer in self.offers if offer.kind in kinds and plugin in ("", offer.plugin)]
        whose = f" in the plugin {plugin!r}" if plugin else ""
        lost = ""
        if self.unavailable:
            count = len(self.unavailable)
            which = ", ".join(sorted(self.unavailable)) if count <= 3 else f"{count} plugins, see wmsforge plugins"
            lost = f" Not loaded: {which}."
        listing = f" List all: wmsforge components{' ' + asked if len(kinds) == 1 else ''}"
        return f"no {asked}{whose} is called {name!r}.{did_you_mean(name, sorted({*known, *ids}))}{lost}{listing}"

    def load(self, offer: Offer) -> type[Any]:
        """Import the component's class.

        Raises:
            MissingDependencyError: If a package it needs is not installed.
            PluginError: If the target does not exist, fails to import, or is not of its kind.
        """
        module_name, _, attribute = offer.target.partition(":")
        what = f"{offer.kind} {offer.name!r} of plugin {offer.plugin!r}"
        try:
            target = getattr(importlib.import_module(module_name), attribute)
        except Exception as error:  # a stranger's module may raise anything; it must become an error that names it
            missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
            if missing and not f"{module_name}.".startswith(f"{missing}."):
                raise MissingDependencyError(what, missing, f"pip install {offer.plugin}") from error
            found = f"{type(error).__name__}: {error}"
            raise PluginError(f"{what} cannot be loaded from {offer.target!r}: {found}.") from error
        contracts = tuple(_contract(path) for path in KINDS[offer.kind])
        if not (isinstance(target, type) and issubclass(target, contracts)):
            raise PluginError(f"{what}: {offer.target!r} is not a subclass of {' or '.join(KINDS[offer.kind])}.")
        component: type[Any] = target
        if not issubclass(component.Options, _contract("wmsforge.options:Options")):
            raise PluginError(f"{what}: its Options are not a subclass of wmsforge.options:Options.")
        return component


def _contract(path: str) -> type[Any]:
    module, _, name = path.partition(":")
    contract: type[Any] = getattr(importlib.import_module(module), name)
    return contract


def a(word: str) -> str:
    """Return a kind's name with its article: "a loader", "an exporter"."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
