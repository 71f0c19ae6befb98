"""What a run says at its end: what was made and where, what was rejected and why, how to look at it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wmsforge.cli.terminal import amount

if TYPE_CHECKING:
    from wmsforge.recipe.plan import Plan
    from wmsforge.store.manifest import Manifest

REASONS = 5
"""Reasons named for a step; the rest are counted."""


def summary(
    plan: Plan, manifests: Mapping[str, Manifest], options: tuple[str, ...] = (), cost: str = ""
) -> Iterator[str]:
    """Yield the lines of the summary.

    Args:
        manifests: Of the steps that are done, by step.
        options: To repeat in the commands that are suggested, such as `--workspace DIR`.
        cost: What the recipe cost, in words.
    """
    read = {need for planned in plan.steps.values() for need in planned.step.needs()}
    results = [step for step, manifest in manifests.items() if _is_result(manifest, step not in read)]
    rejecting = [step for step, manifest in manifests.items() if manifest.counts.rejected]
    for step in results:
        yield f"{step}: {_made(plan, manifests[step], step)}"
    for step in rejecting:
        counts = manifests[step].counts
        of = counts.failed + counts.made if counts.dropped else counts.read  # an item may make several records
        yield f"{step} rejected {counts.rejected:,} of {of:,}: {_reasons(manifests[step])}"
    if cost:
        yield cost
    looks = [[step] for step in results[-1:]]
    looks += [[max(rejecting, key=lambda step: manifests[step].counts.rejected), "--rejected"]] if rejecting else []
    for number, (step, *more) in enumerate(looks):
        preview = ["--preview"] if plan.steps[step].preview else []
        command = shlex.join(["wmsforge", "peek", plan.recipe.path, step, *more, *preview, *options])
        yield f"{'      ' if number else 'next: '}{command}"


def _is_result(manifest: Manifest, is_last: bool) -> bool:
    """Tell whether a step made something to keep: an artifact that is no index, or what no step reads.

    An endpoint is gone when the summary is read.
    """
    kind = manifest.artifact.kind if manifest.artifact else "records"
    return kind != "endpoint" and (is_last or kind not in ("index", "records"))


def _made(plan: Plan, manifest: Manifest, step: str) -> str:
    if manifest.artifact is None:
        return f"{amount(manifest.counts.out, 'records')} in {plan.steps[step].folder}"
    rows = manifest.artifact.facts.get("rows")
    place = manifest.artifact.url or manifest.artifact.path
    return f"{place}, {amount(rows, 'rows')}" if isinstance(rows, int) else place


def _reasons(manifest: Manifest) -> str:
    ranked = sorted(manifest.counts.reasons.items(), key=lambda pair: -pair[1])
    named = [f"{reason} {count:,}" for reason, count in ranked[:REASONS]]
    rest = sum(count for _, count in ranked[REASONS:])
    return ", ".join([*named, f"others {rest:,}"] if rest else named)
