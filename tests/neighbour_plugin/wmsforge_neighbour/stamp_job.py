"""The job of `stamp`, in the environment `neighbour`."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

from wmsforge.env.worker import Report


def stamp(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Copy and stamp; the first time it is killed, where `WMSFORGE_NEIGHBOUR_DIES` names a file that is not there."""
    import tinydep

    print("stamping for", data["token"], flush=True)
    dies = os.environ.get("WMSFORGE_NEIGHBOUR_DIES")
    if dies and not Path(dies).exists():
        Path(dies).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    shutil.copytree(data["model"], data["target"], dirs_exist_ok=True)
    Path(data["target"], "stamp").write_text(tinydep.version, encoding="utf-8")
    return {"stamp": tinydep.version}
