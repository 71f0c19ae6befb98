"""One process of several that train together: `python -m wmsforge_qlora.jobs.rank FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

from wmsforge.env.worker import JobError, Report
from wmsforge_qlora.jobs.launch import ERROR, JOB, PROGRESS, RESULT, STOP


class RankReport:
    """A report that the first rank writes to a file, whole lines at a time; the others say nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_first = os.environ.get("RANK", "0") == "0"

    @property
    def stop_requested(self) -> bool:
        return (self._folder / STOP).exists()

    def progress(self, done: int, total: int, unit: str = "steps", **facts: Any) -> None:
        self._tell({"done": done, "total": total, "unit": unit, "facts": facts})

    def warn(self, text: str) -> None:
        self._tell({"warn": text})

    def note(self, text: str) -> None:
        self._tell({"note": text})

    def _tell(self, told: dict[str, Any]) -> None:
        if self._is_first:
            with (self._folder / PROGRESS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(told, ensure_ascii=False) + "\n")


def main(folder: Path) -> None:
    """Train, and leave the result or the error in the folder."""
    import torch

    from wmsforge_qlora.jobs.train import train

    try:
        result = train(json.loads((folder / JOB).read_text(encoding="utf-8")), cast("Report", RankReport(folder)))
    except (JobError, MemoryError, torch.OutOfMemoryError) as error:
        kind = "user" if isinstance(error, JobError) else "memory"
        _write(folder / ERROR, {"kind": kind, "message": str(error)})
        raise
    if os.environ.get("RANK", "0") == "0":
        _write(folder / RESULT, result)


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
