"""`run --retry-rejected`: the plan with the steps that try rejected records again, or the rest of such a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wmsforge.cli.loading import Planned
from wmsforge.cli.rows import last_json_line
from wmsforge.cli.stored import run_facts
from wmsforge.errors import RecipeError
from wmsforge.recipe.plan import make_plan
from wmsforge.recipe.retry import Retry, find_retry


def with_retry(
    planned: Planned, reasons: Sequence[str], until: str | None, restart: str | None
) -> tuple[Planned, Retry]:
    """Return the plan in which the steps with such rejected records run, and what is tried again.

    The same command goes on after a stop: what it tried again already is then not paid once more.

    Raises:
        RecipeError: If no record failed for one of the reasons.
    """
    reasons = list(dict.fromkeys(reasons))
    ended = _ended_before(planned, reasons)
    going_on = Retry(tuple(reasons), {}, ())
    if ended not in ("", "run_finished", "run_failed"):
        return planned, going_on
    try:
        retry = find_retry(planned.plan, reasons)
    except RecipeError:
        if ended != "run_failed":
            raise
        return planned, going_on
    plan = planned.plan
    remade = make_plan(
        plan.recipe, planned.workspace, until=until, restart=restart, limit=plan.limit, remade=retry.steps
    )
    return replace(planned, plan=remade), retry


def _ended_before(planned: Planned, reasons: Sequence[str]) -> str:
    """Return the last event of the run before, if that was for the same reasons, else an empty text."""
    runs = planned.workspace.runs(planned.plan.recipe.name)
    facts = run_facts(runs[-1]) if runs else {}
    if facts.get("retry_rejected") != sorted(reasons) or facts.get("limit") != planned.plan.limit:
        return ""
    return last_json_line(runs[-1] / "events.jsonl").get("event") or "killed"
