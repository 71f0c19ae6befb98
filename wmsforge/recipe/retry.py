"""`--retry-rejected`: which steps try which of their rejected records again, and which calls that makes anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wmsforge.errors import Problem, RecipeError, RecordError, did_you_mean
from wmsforge.recipe.plan import Plan, PlannedStep
from wmsforge.store.record_store import Rejection, read_rejected

OPTION = "--retry-rejected"
GENERATING = ("question_generator", "answer_generator")


@dataclass(frozen=True)
class Retry:
    """What is tried again."""

    reasons: tuple[str, ...]
    steps: Mapping[str, str]
    """Step -> why it runs, in words."""
    calls: tuple[bytes, ...]
    """Keys in the ledger of the calls that were made for the rejected records."""
    stays_failed: Mapping[bytes, RecordError] = field(default_factory=dict)
    """The last call of each record that failed for another reason, which is not tried again, and that reason."""


def find_retry(plan: Plan, reasons: Sequence[str]) -> Retry:
    """Return what to try again: the records that were rejected for these reasons because they failed.

    What a filter decided is not among them: it would decide the same again.

    Raises:
        RecipeError: If nothing failed for a reason; says which reasons there are.
    """
    found: dict[str, Counter[str]] = {reason: Counter() for reason in reasons}
    others: Counter[tuple[str, str]] = Counter()
    decided: dict[str, str] = {}
    calls: dict[bytes, None] = {}
    stays_failed: dict[bytes, RecordError] = {}
    for planned in plan.steps.values():
        for rejection in rejections(planned):
            if not _failed(planned, rejection):
                decided[rejection.reason] = planned.step.id
            elif rejection.reason in found:
                found[rejection.reason][planned.step.id] += 1
                calls |= dict.fromkeys(map(bytes.fromhex, rejection.calls or ()))
            else:
                others[rejection.reason, planned.step.id] += 1
                if rejection.calls:
                    last = bytes.fromhex(rejection.calls[-1])
                    stays_failed[last] = RecordError(rejection.reason, rejection.detail, rejection.raw)
    problems = [_problem(plan, reason, decided, found, others) for reason in reasons if not found[reason]]
    if problems:
        raise RecipeError(plan.recipe.path, problems)
    for key in calls:
        stays_failed.pop(key, None)
    return Retry(tuple(reasons), dict(_why(plan, found)), tuple(calls), stays_failed)


def rejections(planned: PlannedStep) -> Iterator[Rejection]:
    """Yield what a step rejected: in the store to reuse, else in the newest there is, finished or not."""
    partial = planned.folder.with_name(f"{planned.folder.name}.partial")
    return read_rejected(partial if not planned.reused and partial.is_dir() else planned.folder)


def _failed(planned: PlannedStep, rejection: Rejection) -> bool:
    """Tell whether a record failed, so that trying again may help; other steps reject by decision."""
    return planned.step.kind in GENERATING or rejection.calls is not None


def _why(plan: Plan, found: Mapping[str, Counter[str]]) -> Iterator[tuple[str, str]]:
    for step in plan.steps:
        here = {reason: steps[step] for reason, steps in found.items() if steps[step]}
        if here:
            counted = ", ".join(f"{reason} {count:,}" for reason, count in here.items())
            yield step, f"tries rejected records again ({counted})"


def _problem(
    plan: Plan,
    reason: str,
    decided: Mapping[str, str],
    found: Mapping[str, Counter[str]],
    others: Mapping[tuple[str, str], int],
) -> Problem:
    there = {(known, step): count for known, steps in found.items() for step, count in steps.items()} | dict(others)
    listed = ", ".join(f"{known} ({count:,} of {step})" for (known, step), count in sorted(there.items()))
    if reason in decided:
        step = decided[reason]
        kind = plan.steps[step].step.kind
        cure = (
            f"To change it, change the filter: --set steps.{step}...; that makes no call again."
            if kind == "filter"
            else f"Mend what it reads, then: wmsforge run {plan.recipe.path} --from {step}"
        )
        message = f"{reason!r} is what the {kind} step {step!r} decided, and it would decide the same again. {cure}"
    elif listed:
        close = did_you_mean(reason, [known for known, _ in there])
        message = f"no record was rejected for {reason!r}.{close} The reasons there are: {listed}."
    else:
        message = f"no record was rejected for {reason!r}, nor for any other reason that trying again could help."
    return Problem(0, 0, OPTION, message)
