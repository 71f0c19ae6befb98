"""The folder of one run: what was run, with which versions, and what came of it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from wmsforge import __version__
from wmsforge.files import write_atomically
from wmsforge.plugins import PluginHost
from wmsforge.recipe.plan import Plan
from wmsforge.recipe.retry import Retry
from wmsforge.store.workspace import Workspace


def new_run_id(workspace: Workspace, recipe: str) -> str:
    """Return the start time in UTC, numbered when two runs start in one second."""
    start = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    taken = {folder.name for folder in workspace.runs(recipe)}
    return next(id for id in (start, *(f"{start}-{n}" for n in range(2, 1000))) if id not in taken)


def describe_run(folder: Path, plan: Plan, host: PluginHost, retry: Retry | None = None) -> None:
    """Write recipe.yaml (as written: `${NAME}` stays) and run.json."""
    text = yaml.safe_dump(dict(plan.recipe.written), allow_unicode=True, sort_keys=False)
    write_atomically(folder / "recipe.yaml", text.encode())
    facts: dict[str, Any] = {
        "recipe": plan.recipe.path,
        "limit": plan.limit,
        "retry_rejected": sorted(retry.reasons) if retry else [],
        "seed": plan.recipe.seed,
        "wmsforge": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "plugins": {plugin.name: plugin.version for plugin in host.plugins if plugin.status == "loaded"},
        "git": _git_commit(),
        "command": sys.argv,
        "steps": {id: {"fingerprint": step.fingerprint, "reused": step.reused} for id, step in plan.steps.items()},
    }
    write_atomically(folder / "run.json", json.dumps(facts, ensure_ascii=False, indent=2).encode())


def _git_commit() -> str | None:
    """Return the commit of the current folder, None outside of git."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
