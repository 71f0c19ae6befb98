"""Plugins that watch a run: each is told, and one that fails stops neither the run nor the others."""

from pathlib import Path

import pluggy

from wmsforge import hookspecs
from wmsforge.hookspecs import hookimpl
from wmsforge.run.events import Events
from wmsforge.run.observers import watchers


class Broken:
    @hookimpl
    def step_started(self, step: str) -> None:
        raise ValueError("not my day")


class Counting:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    @hookimpl
    def step_started(self, step: str, component: str) -> None:
        self.seen.append((step, component))


def manager(*plugins: object) -> pluggy.PluginManager:
    found = pluggy.PluginManager(hookspecs.GROUP)
    found.add_hookspecs(hookspecs)
    for plugin in plugins:
        found.register(plugin, name=type(plugin).__name__.lower())
    return found


def test_a_watcher_that_fails_is_named_once_and_the_others_are_told(tmp_path: Path) -> None:
    counting = Counting()
    said: list[dict[str, object]] = []
    events = Events(tmp_path / "events.jsonl", lambda event, facts: said.append({"event": event, **facts}))
    tell = watchers(manager(counting, Broken()).hook, "step_started", events)
    assert tell is not None
    tell(step="answers", component="answer_generator/rag")
    tell(step="kept", component="filter/length")
    events.close()
    assert counting.seen == [("answers", "answer_generator/rag"), ("kept", "filter/length")]
    message = "its hook step_started failed: ValueError('not my day')"
    assert said == [{"event": "warning", "step": "broken", "message": message}]


def test_nobody_watching_costs_nothing(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    assert watchers(manager().hook, "call_finished", events) is None
    events.close()
