"""`wmsforge doctor`: whether a recipe can run on this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wmsforge.cli.loading import recipe_argument, workspace_option
from wmsforge.cli.terminal import amount, as_json, clean

if TYPE_CHECKING:
    from wmsforge.doctor.examine import Report
    from wmsforge.steps.machine import Finding

COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@recipe_argument
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value: steps.adapter.env=cuda.")
@click.option(
    "--resolve/--no-resolve",
    default=True,
    show_default=True,
    help="Ask the package index whether it has what the environments that are not built need; some seconds each.",
)
@workspace_option
@click.option("--json", "as_data", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(
    context: click.Context, recipe: str, overrides: tuple[str, ...], resolve: bool, workspace: Path, as_data: bool
) -> None:
    """Say whether RECIPE can run on this machine, and what to do where it cannot.

    Looks at the recipe, its variables and inputs, environments, disk, GPU, and what the steps' components find. Nothing
    runs, is installed or paid. The exit code is 3 when something is wrong; warnings are allowed.
    """
    from wmsforge.doctor.examine import examine
    from wmsforge.plugins import load_plugins
    from wmsforge.store.workspace import Workspace

    host = load_plugins(disabled=context.obj["no_plugin"])
    report = examine(Path(recipe), overrides, host, Workspace(workspace), resolve=resolve, say=_say)
    if as_data:
        click.echo(as_json(_data(recipe, report), indent=2))
    else:
        _show(recipe, report)
    context.exit(3 if report.count("error") else 0)


def _show(recipe: str, report: Report) -> None:
    for subject, findings in report.findings.items():
        click.echo(clean(subject))
        for finding in findings:
            _show_one(finding)
    errors, warnings = report.count("error"), report.count("warning")
    verdict = f"{recipe} cannot run here: {amount(errors, 'errors')}" if errors else f"{recipe} can run here"
    tail = f", {amount(warnings, 'warnings')}" if warnings else ""
    click.echo(clean(f"{verdict}{tail}."))


def _show_one(finding: Finding) -> None:
    click.echo(f"  {click.style(finding.level.ljust(7), fg=COLOURS[finding.level])}  {clean(finding.what)}")
    if finding.remedy:
        click.echo(f"           {clean(finding.remedy)}")


def _data(recipe: str, report: Report) -> dict[str, Any]:
    findings = [
        {"subject": subject, **asdict(finding)} for subject, several in report.findings.items() for finding in several
    ]
    environments = [
        {"name": one.name, "for": one.kind, "state": one.state, "steps": list(one.steps)} for one in report.environments
    ]
    counts = {f"{level}s": report.count(level) for level in ("error", "warning")}
    return {
        "recipe": recipe,
        "can_run": not counts["errors"],
        **counts,
        "findings": findings,
        "environments": environments,
    }


def _say(line: str) -> None:
    click.echo(clean(line), err=True)
