"""The folder where wmsforge keeps what it makes, and the lock that lets one process run in it.

.wmsforge/
  ledger.sqlite             every model call
  lock
  <recipe>/
    steps/<step>/           part-00000.jsonl rejected.jsonl manifest.json, or an artifact's files
    preview/<step>/         the same for `run --limit N`
    models/<model>/         what a model keeps between runs, such as the names of batch jobs
    runs/<run id>/          recipe.yaml run.json events.jsonl
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wmsforge.errors import WorkspaceBusyError

DEFAULT = Path(".wmsforge")


class Workspace:
    """Paths of a workspace."""

    def __init__(self, root: Path = DEFAULT) -> None:
        self.root = root
        self.ledger = root / "ledger.sqlite"

    def step_folder(self, recipe: str, step: str, preview: bool = False) -> Path:
        """Return the folder of a step's store; a preview's is apart from the full run's."""
        return self.root / recipe / ("preview" if preview else "steps") / step

    def models_folder(self, recipe: str) -> Path:
        """Return where the models of a recipe keep what they need between runs."""
        return self.root / recipe / "models"

    def run_folder(self, recipe: str, run: str) -> Path:
        return self.root / recipe / "runs" / run

    def runs(self, recipe: str) -> list[Path]:
        """Return the run folders of a recipe, oldest first."""
        folder = self.root / recipe / "runs"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def recipes(self) -> list[str]:
        """Return the names of the recipes that were run here, sorted."""
        return sorted(folder.parent.name for folder in self.root.glob("*/runs"))

    def holder(self) -> str:
        """Return which process works here now, empty when none does."""
        from filelock import FileLock, Timeout

        note = self.root / "lock.json"
        if not note.exists():
            return ""
        try:
            with FileLock(self.root / "lock", timeout=0):
                return ""  # the note is that of a process that was killed
        except Timeout:
            return _holder(note)

    @contextmanager
    def locked(self, purpose: str) -> Iterator[None]:
        """Hold the workspace for this process.

        Raises:
            WorkspaceBusyError: If another process holds it.
        """
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        holder = self.root / "lock.json"
        lock = FileLock(self.root / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise WorkspaceBusyError(
                f"The workspace {self.root} is in use by {_holder(holder)}.\n"
                f"Wait for it or stop it, or work in another place: --workspace DIR"
            ) from None
        try:
            holder.write_text(json.dumps({"pid": os.getpid(), "purpose": purpose}), encoding="utf-8")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return f"process {held['pid']} ({held['purpose']})"
    except (OSError, ValueError, KeyError):
        return "another process"
