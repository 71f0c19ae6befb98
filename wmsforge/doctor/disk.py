"""Whether the disk has room for environments that are to be built, and for what a run stores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from wmsforge.home import home
from wmsforge.recipe.environments_used import UsedEnvironment
from wmsforge.steps.machine import Finding

GB = 10**9
ENVIRONMENT_BYTES = {"cpu": 2 * GB, "cuda": 8 * GB}
"""Of one environment by its lock's name. qlora with a CPU build of torch takes 1.7 GB (du, November 2026); with the
CUDA libraries of torch 2.13 it is an estimate from the sizes of the wheels."""
RUN_BYTES = GB
"""What a run should find free at least, for stores and logs. Models are more, and only their sizes tell how much."""


def check_disk(used: Sequence[UsedEnvironment], workspace: Path) -> Iterator[Finding]:
    """Yield whether there is room where environments and stores go."""
    envs = home() / "envs"
    unbuilt = {one.lock.digest: one.kind for one in used if one.lock and not one.built}
    need = sum(ENVIRONMENT_BYTES.get(kind, ENVIRONMENT_BYTES["cuda"]) for kind in unbuilt.values())
    if need:
        free = _free(envs)
        many = f"{len(unbuilt)} environments to be built take" if len(unbuilt) > 1 else "1 to be built takes"
        what = f"{free / GB:.1f} GB are free for {envs}; {many} about {need / GB:.0f} GB"
        if free < need:
            yield Finding("error", what, "Free some, or build on another disk: export WMSFORGE_HOME=/path/there")
        else:
            yield Finding("ok", what)
    shared = need if _device(envs) == _device(workspace) else 0
    left = _free(workspace) - shared
    if left < RUN_BYTES:
        what = f"{max(left, 0) / GB:.1f} GB are left for the workspace {workspace}, which is little for a run"
        yield Finding("warning", what, "Free some, or work on another disk: --workspace /path/there")
    else:
        yield Finding("ok", f"{left / GB:.1f} GB are left for the workspace {workspace}")


def _free(path: Path) -> int:
    """Return the bytes that the user may still write there."""
    return shutil.disk_usage(_existing(path)).free


def _device(path: Path) -> int:
    return _existing(path).stat().st_dev


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    path = path.absolute()
    return next(one for one in (path, *path.parents) if one.exists())
