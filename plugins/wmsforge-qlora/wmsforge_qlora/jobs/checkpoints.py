"""Checkpoints of a Trainer, told apart into whole ones and those that a kill has torn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

MARK = "complete.json"
"""Written last; lists the files of the checkpoint with their sizes."""
STATE = ("trainer_state.json", "optimizer.pt", "scheduler.pt")
"""What a checkpoint must have beside the weights to be continued."""


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def mark_complete(checkpoint: Path) -> None:
    """Mark a checkpoint as whole."""
    sizes = {
        file.relative_to(checkpoint).as_posix(): file.stat().st_size
        for file in sorted(checkpoint.rglob("*"))
        if file.is_file() and file.name != MARK
    }
    temporary = checkpoint / f".{MARK}.tmp"
    temporary.write_text(json.dumps(sizes), encoding="utf-8")
    temporary.replace(checkpoint / MARK)


def is_complete(checkpoint: Path) -> bool:
    """Tell whether a checkpoint has its mark, and every file that the mark lists in its size."""
    try:
        sizes = json.loads((checkpoint / MARK).read_text(encoding="utf-8"))
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def newest_complete(folder: Path) -> Path | None:
    """Return the newest whole checkpoint; torn ones are removed, so that nothing takes them for one."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        if is_complete(checkpoint):
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint, ignore_errors=True)  # another rank may be at it
    return max(whole, key=step_of, default=None)
