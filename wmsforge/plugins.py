"""The plugin host: finds installed plugins, leaves disabled ones alone, survives broken ones.

Nothing here is global: `load_plugins` makes a host, and two hosts do not know of each other.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pluggy

from wmsforge import __version__, hookspecs
from wmsforge.env.locks import EnvironmentOffer
from wmsforge.errors import PluginError, did_you_mean
from wmsforge.offers import offered_by_source
from wmsforge.registry import Offer, Registry

BUILTIN = "wmsforge"
Status = Literal["loaded", "disabled", "failed"]
HOOKS = tuple(name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.GROUP}_spec"))
REGISTERING = {f"register_{kind}s": kind for kind in Registry.kinds}


@dataclass(frozen=True)
class Plugin:
    """One installed plugin and what became of it."""

    name: str
    version: str
    module: str
    status: Status
    error: str = ""
    details: str = ""
    hooks: tuple[str, ...] = ()


class PluginHost:
    """The plugins of one process, their components and their observer hooks."""

    def __init__(self, manager: pluggy.PluginManager, plugins: Sequence[Plugin], registry: Registry) -> None:
        self.plugins = tuple(plugins)
        self.registry = registry
        self.hook: Any = manager.hook
        """Calls observer hooks: `host.hook.step_started(step=..., component=...)`."""


def load_plugins(
    *,
    disabled: Iterable[str] = (),
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None,
) -> PluginHost:
    """Load every installed plugin that is not disabled, and the core's own components.

    `WMSFORGE_PLUGINS`, when set, lists the only plugins to load, separated by commas; empty means
    none. `disabled` adds names to leave alone. A disabled plugin's module is never imported.

    Raises:
        PluginError: If a name to disable or to load is not installed.
    """
    from wmsforge import builtin

    found = _find(importlib.metadata.entry_points(group=hookspecs.GROUP) if entry_points is None else entry_points)
    off = _disabled([name for name, _ in found], disabled)
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    registry = Registry()
    plugins = [_register(manager, registry, BUILTIN, __version__, builtin)]
    for name, entry_point in found:
        version = entry_point.dist.version if entry_point.dist else ""
        if name in off:
            plugins.append(Plugin(name, version, entry_point.module, "disabled"))
            registry.disabled.extend(offered_by_source(entry_point.module, name))
            continue
        try:
            plugins.append(_register(manager, registry, name, version, entry_point.load()))
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything; it must not stop ours
            short = f"{type(error).__name__}: {error}"
            plugins.append(Plugin(name, version, entry_point.module, "failed", short, traceback.format_exc()))
            registry.failed.extend(offered_by_source(entry_point.module, name, error=short))
    registry.unavailable = {
        plugin.name: plugin.error or plugin.status for plugin in plugins if plugin.status != "loaded"
    }
    return PluginHost(manager, plugins, registry)


def _find(entry_points: Iterable[importlib.metadata.EntryPoint]) -> list[tuple[str, importlib.metadata.EntryPoint]]:
    """Return (plugin name, entry point) pairs, one a plugin, sorted; the name is the distribution's."""
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for entry_point in entry_points:
        name = _normal(entry_point.dist.name) if entry_point.dist else entry_point.name
        while name in found and found[name] != entry_point:
            name = f"{name}:{entry_point.name}"
        found[name] = entry_point
    return sorted(found.items())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _disabled(installed: Sequence[str], disabled: Iterable[str]) -> set[str]:
    off = {_normal(name) for name in disabled}
    only = os.environ.get("WMSFORGE_PLUGINS")
    wanted = None if only is None else {_normal(name.strip()) for name in only.split(",") if name.strip()}
    for name in sorted(off | (wanted or set())):
        if name not in installed and name != BUILTIN:
            raise PluginError(
                f"Plugin {name!r} is not installed.{did_you_mean(name, installed)}\nList what is: wmsforge plugins"
            )
    if wanted is not None:
        off |= {name for name in installed if name not in wanted}
    return off


def _register(manager: pluggy.PluginManager, registry: Registry, name: str, version: str, module: Any) -> Plugin:
    """Add a plugin's hooks and components.

    Raises:
        PluginError: If one of its hooks is unknown.
    """
    hooks = [attribute for attribute, value in vars(module).items() if hasattr(value, f"{hookspecs.GROUP}_impl")]
    for hook in hooks:
        if hook not in HOOKS:
            raise PluginError(f"hook {hook!r} is unknown.{did_you_mean(hook, HOOKS)}")
    offers: list[Offer] = []
    for hook, kind in REGISTERING.items():
        if hook in hooks:

            def register(component: str, target: str, *, summary: str, kind: str = kind) -> None:
                offers.append(Offer(kind, component, target, summary, name, version))

            getattr(module, hook)(register)
    environments: list[EnvironmentOffer] = []
    if "register_environments" in hooks:

        def register_environment(environment: str, target: str, *, extra: str, summary: str) -> None:
            environments.append(EnvironmentOffer(environment, target, extra, summary, name))

        module.register_environments(register_environment)
    manager.register(module, name=name)
    registry.environments += environments
    for offer in offers:
        registry.add(offer)
    return Plugin(name, version, module.__name__, "loaded", hooks=tuple(hooks))
