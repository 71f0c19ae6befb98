"""What each kind of step takes and gives, and whether the steps of a recipe fit together."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

from wmsforge.recipe.drafts import Draft, UseDraft
from wmsforge.recipe.source import Source
from wmsforge.registry import a
from wmsforge.steps.base import Component
from wmsforge.steps.exporter import ModelExporter
from wmsforge.steps.filter import CorpusFilter, Filter
from wmsforge.steps.retriever import Retriever

RECORDS = ("Document", "Question", "Answer")
ARTIFACTS = ("index", "dataset", "adapter", "model", "endpoint", "report")
_TAKES: Mapping[str, tuple[str, ...]] = {
    "loader": (),
    "retriever": ("Document",),
    "question_generator": ("Document",),
    "answer_generator": ("Question",),
    "filter": ("Question", "Answer"),
    "trainer": ("dataset",),
    "exporter": ("Answer",),
    "server": ("adapter", "model", "endpoint"),
    "evaluator": ARTIFACTS,
}
_GIVES: Mapping[str, str] = {
    "loader": "Document",
    "retriever": "index",
    "question_generator": "Question",
    "answer_generator": "Answer",
    "trainer": "adapter",
    "exporter": "dataset",
    "server": "endpoint",
    "evaluator": "report",
}
NEEDS_NO_SOURCE = ("loader", "question_generator")


def takes(kind: str, component: type[Component]) -> tuple[str, ...]:
    """Return what a step of this kind and component may read: records, or kinds of artifacts."""
    if issubclass(component, ModelExporter):
        return ("adapter", "model")
    if issubclass(component, (Filter, CorpusFilter)):
        return tuple(record.__name__ for record in component.accepts)
    if issubclass(component, Retriever) and not component.reads_documents:
        return ()
    return _TAKES[kind]


def needs_source(kind: str, component: type[Component]) -> bool:
    """Tell whether a step of this kind and component is nothing without a `from`."""
    return kind not in NEEDS_NO_SOURCE and bool(takes(kind, component))


def gives(kind: str, component: type[Component], source: str) -> str:
    """Return what comes out of a step that reads `source`: for a filter what goes in, if it can read that."""
    if issubclass(component, ModelExporter):
        return "model"
    if kind == "filter":
        return source if source in takes(kind, component) else ""
    return _GIVES[kind]


def check_sources(source: Source, draft: Draft, steps: Mapping[str, Draft]) -> None:
    """Report a `from` that is missing, forbidden, or leads to something the step cannot read."""
    use = draft.uses[0]
    assert use.component is not None  # its kind is known, so its class is
    at = (*draft.path, "from")
    wanted = takes(draft.kind, use.component)
    if not wanted:
        if draft.reads:
            who = a(draft.kind) if draft.kind == "loader" else f"the {draft.kind} {use.name!r}"
            source.problem(at, f"{who} reads no step. Remove 'from'.")
        return
    if not draft.reads:
        if needs_source(draft.kind, use.component):
            message = f"{a(draft.kind)} needs 'from', a step that gives {_either(wanted)}."
            source.problem(draft.path, message + _candidates(draft, steps, wanted))
        return
    given = {id: steps[id].produces for id in draft.sources}
    if "" in given.values():
        return  # what is wrong with that step has been said
    unreadable = [
        (use.path if draft.chained else at, _mismatch(draft, use, id, what, steps))
        for id, what in given.items()
        for use in draft.uses
        if use.component and what not in takes(draft.kind, use.component)
    ]
    for path, message in unreadable:
        source.problem(path, message)
    different = next((id for id, what in given.items() if what != given[draft.sources[0]]), None)
    if unreadable:
        return
    if different:
        first = draft.sources[0]
        both = f"{first!r} gives {_plural(given[first])}, {different!r} {_plural(given[different])}"
        source.problem(at, f"steps read together must give the same; {both}.")
    elif len(given) > 1 and given[draft.sources[0]] not in RECORDS:
        source.problem(at, f"{a(draft.kind)} reads one step, got {len(given)}.")


def _mismatch(draft: Draft, use: UseDraft, id: str, what: str, steps: Mapping[str, Draft]) -> str:
    assert use.component is not None  # the caller looked
    wanted = takes(draft.kind, use.component)
    who = f"the filter {use.name!r}" if draft.kind == "filter" else a(draft.kind)
    return f"{id!r} gives {_plural(what)}, and {who} reads {_either(wanted)}.{_candidates(draft, steps, wanted)}"


def _candidates(draft: Draft, steps: Mapping[str, Draft], wanted: Collection[str]) -> str:
    ids = [repr(step.id) for step in steps.values() if step.produces in wanted and step is not draft]
    return f" Such {'steps are' if len(ids) > 1 else 'a step is'}: {', '.join(ids)}." if ids else ""


def _plural(what: str) -> str:
    return f"{what}s" if what in RECORDS else a(what)


def _either(wanted: Sequence[str]) -> str:
    *first, last = map(_plural, wanted)
    return f"{', '.join(first)} or {last}" if first else last


def in_order(needs: Mapping[str, Collection[str]]) -> tuple[list[str], list[str]]:
    """Return ids so that each comes after what it needs, else in their order; and those a cycle holds back."""
    place = {id: index for index, id in enumerate(needs)}
    waiting = {id: {need for need in found if need in needs} for id, found in needs.items()}
    wanted_by: dict[str, list[str]] = {id: [] for id in needs}
    for id, found in waiting.items():
        for need in found:
            wanted_by[need].append(id)
    ready = [place[id] for id, found in waiting.items() if not found]
    ids, order = list(needs), []
    while ready:
        id = ids[heapq.heappop(ready)]
        order.append(id)
        for reader in wanted_by[id]:
            waiting[reader].discard(id)
            if not waiting[reader]:
                heapq.heappush(ready, place[reader])
    done = set(order)
    return order, [id for id in ids if id not in done]


def cycles(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the cycles among ids, each from its first id on: `[a, b]` when a needs b and b needs a."""
    found = []
    graph = dict(needs)
    while rest := in_order(graph)[1]:
        trail = [rest[0]]
        while (step := next(need for need in graph[trail[-1]] if need in rest)) not in trail:
            trail.append(step)
        cycle = trail[trail.index(step) :]
        first = min(cycle, key=list(needs).index)
        found.append(cycle[cycle.index(first) :] + cycle[: cycle.index(first)])
        graph = {id: ids for id, ids in graph.items() if id not in cycle}
    return found
