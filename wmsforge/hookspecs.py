"""The whole plugin API: one hook per kind of component, and four hooks that watch a run.

A plugin is an installed distribution with an entry point in the group `wmsforge` that names a
module; the functions of that module marked with `hookimpl` are its hooks. A registering hook
only names its components, it imports none of them:

    from wmsforge.hookspecs import hookimpl

    @hookimpl
    def register_retrievers(register):
        register("bm25", "wmsforge_retrievers.bm25:BM25Retriever", summary="Ranks by morphemes.")

`target` is "module:Class", imported when a recipe names the component and not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pluggy

GROUP = "wmsforge"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Register(Protocol):
    """Offers one component: its name in recipes, its "module:Class" target, one line about it."""

    def __call__(self, name: str, target: str, *, summary: str) -> None: ...


@hookspec
def register_loaders(register: Register) -> None:
    """Offer components that turn files or other sources into Documents."""


@hookspec
def register_retrievers(register: Register) -> None:
    """Offer components that index Documents and find the Passages that answer a query."""


@hookspec
def register_question_generators(register: Register) -> None:
    """Offer components that ask Questions."""


@hookspec
def register_answer_generators(register: Register) -> None:
    """Offer components that turn a Question into an Answer with its Passages."""


@hookspec
def register_filters(register: Register) -> None:
    """Offer components that keep, change or drop a Question or an Answer, with a reason."""


@hookspec
def register_trainers(register: Register) -> None:
    """Offer components that turn a dataset into an adapter or a checkpoint."""


@hookspec
def register_exporters(register: Register) -> None:
    """Offer components that write a dataset, or turn a model into another form."""


@hookspec
def register_servers(register: Register) -> None:
    """Offer components that put a model or an API behind an address."""


@hookspec
def register_chat_models(register: Register) -> None:
    """Offer models that answer a list of chat messages."""


@hookspec
def register_embedders(register: Register) -> None:
    """Offer models that turn texts into vectors."""


@hookspec
def register_evaluators(register: Register) -> None:
    """Offer components that measure a model or a dataset."""


class RegisterEnvironment(Protocol):
    """Offers one environment: its name, the "module:folder" of its locks, the extra they pin, one line about it."""

    def __call__(self, name: str, target: str, *, extra: str, summary: str) -> None: ...


@hookspec
def register_environments(register: RegisterEnvironment) -> None:
    """Offer environments that components run jobs in; the folder holds `cpu.txt` and `cuda.txt`, one or both."""


@hookspec
def step_started(step: str, component: str) -> None:
    """Watch a step begin. `component` is "kind/name"."""


@hookspec
def step_finished(step: str, manifest: Mapping[str, Any]) -> None:
    """Watch a step end well. `manifest` is what its store's manifest.json holds."""


@hookspec
def record_rejected(step: str, record_id: str, reason: str, detail: str) -> None:
    """Watch a record being rejected or dropped. `reason` is the code, `detail` a sentence."""


@hookspec
def call_finished(step: str, model: str, seconds: float, usage: Mapping[str, int], reused: bool) -> None:
    """Watch a model call end. `usage` counts tokens; `reused` means the ledger answered."""
