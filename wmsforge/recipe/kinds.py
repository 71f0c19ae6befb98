"""Which component each `use` names, and so which kind each step is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wmsforge.errors import PluginError
from wmsforge.recipe.drafts import RESOURCE_KINDS, STEP_KINDS, Draft, UseDraft
from wmsforge.recipe.source import Source
from wmsforge.recipe.wiring import gives, in_order, needs_source, takes
from wmsforge.registry import Offer, Registry, a
from wmsforge.steps.base import Component


def settle_models(source: Source, registry: Registry, models: Mapping[str, Draft]) -> None:
    """Find the component of each `models:` entry: a chat model, or an embedder when no chat model has the name."""
    for draft in models.values():
        for use in draft.uses:
            offers = find(source, registry, use, [draft.kind] if draft.kind else RESOURCE_KINDS)
            if offers:
                _take(source, registry, draft, use, min(offers, key=lambda offer: RESOURCE_KINDS.index(offer.kind)))


def settle_steps(source: Source, registry: Registry, steps: Mapping[str, Draft]) -> None:
    """Find the components of each step, its kind, and what it gives. Sources come before their readers."""
    order, cyclic = in_order({id: draft.sources for id, draft in steps.items()})
    for id in [*order, *cyclic]:
        draft = steps[id]
        given = steps[draft.sources[0]].produces if draft.sources else ""
        for use in draft.uses:
            if draft.chained:
                kinds: tuple[str, ...] = ("filter",)
            else:
                kinds = (draft.kind,) if draft.kind else STEP_KINDS
            offers = find(source, registry, use, kinds)
            if len(offers) > 1:
                offers = _choose(source, registry, draft, use, offers, given)
            if offers:
                _take(source, registry, draft, use, offers[0])
        if draft.uses and draft.uses[0].component:
            draft.produces = gives(draft.kind, draft.uses[0].component, given)


def find(
    source: Source, registry: Registry, use: UseDraft, kinds: Sequence[str], ids: Sequence[str] = ()
) -> list[Offer]:
    """Return the offers that a name means; if there are none, that is reported. `ids` could stand there too."""
    try:
        return registry.find(use.name, kinds, ids)
    except PluginError as error:
        source.problem(use.path, _elsewhere(registry, use, kinds) or str(error))
        return []


def load(source: Source, registry: Registry, use: UseDraft, offer: Offer) -> type[Component] | None:
    """Return a component's class; what keeps it from loading is reported as a problem."""
    try:
        return registry.load(offer)
    except PluginError as error:
        source.problem(use.path, str(error))
        return None


def _take(source: Source, registry: Registry, draft: Draft, use: UseDraft, offer: Offer) -> None:
    use.component = load(source, registry, use, offer)
    use.offer = offer
    draft.kind = offer.kind


def _choose(
    source: Source, registry: Registry, draft: Draft, use: UseDraft, offers: list[Offer], given: str
) -> list[Offer]:
    """Return the offer that reads what the step's source gives, when it alone does."""
    if draft.reads and not given:
        return []  # what is wrong with the source has been said
    fitting = []
    for offer in offers:
        component = load(source, registry, use, offer)
        if component is None:
            return []
        if given in takes(offer.kind, component) if draft.reads else not needs_source(offer.kind, component):
            fitting.append(offer)
    if len(fitting) == 1:
        return fitting
    kinds = " and ".join(a(offer.kind) for offer in offers)
    source.problem(use.path, f"{use.name!r} is {kinds}. Say which: kind: {offers[0].kind}")
    return []


def _elsewhere(registry: Registry, use: UseDraft, kinds: Sequence[str]) -> str:
    """Return what to do about a component that exists but belongs in another part of the recipe."""
    name = use.name.rpartition("/")[2]
    offered = {offer.kind for offer in registry.offers if offer.name == name}
    if kinds == STEP_KINDS and (resource := offered & set(RESOURCE_KINDS)):
        kind = min(resource)
        return f"{use.name!r} is {a(kind)}, which is no step. Put it under 'models' and give its id to a step."
    if kinds == RESOURCE_KINDS and (step := offered & set(STEP_KINDS)):
        return f"{use.name!r} is {a(min(step))}; 'models' holds chat models and embedders. Put it under 'steps'."
    return ""
