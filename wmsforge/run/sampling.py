"""A preview that is run to be measured: which steps, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wmsforge.recipe.models_called import models_called
from wmsforge.recipe.plan import Plan, make_plan, only
from wmsforge.recipe.sample import Sample
from wmsforge.run.measure import measure
from wmsforge.run.step_run import StepRun
from wmsforge.store.ledger import Ledger
from wmsforge.store.workspace import Workspace


@dataclass(frozen=True)
class Sampled:
    """A finished sample."""

    limit: int
    """Questions that were asked for."""
    calls: int
    """Calls that it made; those the ledger answered are not among them."""
    usd: float | None
    """What they cost; None if a price is unknown."""
    steps: Mapping[str, Sample]


def sample_plan(plan: Plan, workspace: Workspace, limit: int) -> Plan | None:
    """Return the preview that measures what a plan's steps will ask; None if none of them asks a model for items.

    Steps that are done are measured again where others need them: the ledger answers them.
    """
    calling = [
        id
        for id, planned in plan.steps.items()
        if not planned.reused
        and planned.step.kind in ("question_generator", "answer_generator", "filter")
        and any(True for use in planned.step.uses for _ in models_called(plan.recipe, planned.step, use))
    ]
    if not calling:
        return None
    asking = [id for id, planned in plan.steps.items() if planned.step.kind == "question_generator"]
    why = dict.fromkeys(asking, "measured for the plan")
    return only(make_plan(plan.recipe, workspace, limit=limit, remade=why), calling)


def sampled(preview: Plan, steps: Mapping[str, StepRun], workspace: Workspace) -> Sampled:
    """Return what a finished preview took."""
    ledger = Ledger(workspace.ledger)
    try:
        samples = measure(steps, ledger)
    finally:
        ledger.close()
    counts = [count for id, step in steps.items() for count in step.resources.calls(id).values()]
    unknown = any(count.calls and count.cost_usd is None for count in counts)
    usd = None if unknown else sum(count.cost_usd or 0.0 for count in counts)
    assert preview.limit is not None  # sample_plan set it
    return Sampled(preview.limit, sum(count.calls for count in counts), usd, samples)
