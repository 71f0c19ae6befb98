"""Telling the plugins that watch a run. One that fails is named and does not stop the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wmsforge.run.events import Events


def watchers(hook: Any, name: str, events: Events) -> Callable[..., None] | None:
    """Return a function that calls every plugin's hook `name`, None when no plugin has it.

    The plugins are called one by one and not through pluggy's caller, which stops at the first error.
    """
    found = getattr(hook, name).get_hookimpls()
    if not found:
        return None

    def tell(**facts: Any) -> None:
        for implementation in found:
            try:
                implementation.function(**{argument: facts[argument] for argument in implementation.argnames})
            except Exception as error:  # a watcher may raise anything; what it watches is paid for and goes on
                events.warn(implementation.plugin_name, f"its hook {name} failed: {error!r}")

    return tell
