"""The whole examination of a recipe and the machine it is to run on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wmsforge.doctor.components import ask_components
from wmsforge.doctor.disk import check_disk
from wmsforge.doctor.environments import check_environments
from wmsforge.doctor.gpu import check_gpus, look_for_gpus
from wmsforge.doctor.reading import from_error, read, steps_to_run
from wmsforge.errors import WmsforgeError
from wmsforge.plugins import PluginHost
from wmsforge.recipe.environments_used import UsedEnvironment, environments_used
from wmsforge.steps.machine import Finding
from wmsforge.store.workspace import Workspace


@dataclass
class Report:
    """What was found, by subject in the order in which it was looked at."""

    findings: dict[str, list[Finding]] = field(default_factory=dict)
    environments: Sequence[UsedEnvironment] = ()
    """Those of the steps that would run."""

    def add(self, subject: str, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.findings.setdefault(subject, []).append(finding)

    def count(self, level: str) -> int:
        return sum(finding.level == level for findings in self.findings.values() for finding in findings)


def examine(
    path: Path,
    overrides: Sequence[str],
    host: PluginHost,
    workspace: Workspace,
    *,
    resolve: bool,
    say: Callable[[str], None],
) -> Report:
    """Look at everything that a run of a recipe needs; steps that would be reused need nothing.

    Args:
        overrides: `--set` texts.
        resolve: Ask the package index whether it has what the environments that are not built need.
        say: Told what takes a while.
    """
    report = Report()
    recipe = read(path, overrides, host.registry, report.add)
    if recipe is None:
        return report
    steps = steps_to_run(recipe, workspace, report.add)
    machine, trouble = look_for_gpus()
    try:
        report.environments = environments_used(recipe.recipe, steps, host.registry)
        report.add("environments", check_environments(report.environments, resolve=resolve, say=say))
    except WmsforgeError as error:  # a component that fails to say; the rest does not hang on it
        report.add("environments", [from_error(error)])
    report.add("disk", check_disk(report.environments, workspace.root))
    report.add("GPU", check_gpus(report.environments, machine, trouble))
    for step in steps:
        report.add(f"step {step.id}", ask_components(recipe, step, machine))
    return report
