"""The job of `isolated-trainer`. It runs in the environment `fixture`: what is not in its lock cannot be imported."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from wmsforge.env.worker import JobError, Report


def count(data: dict[str, Any], report: Report) -> dict[str, Any]:
    import tinydep

    rows = Path(data["rows"]).read_text(encoding="utf-8").splitlines()
    if not rows:
        raise JobError(f"The dataset {data['rows']!r} has no rows.\nMake it anew, with at least one.")
    counts: Counter[str] = Counter()
    for done, row in enumerate(rows, 1):
        counts.update(row.split())
        report.progress(done, len(rows), "rows", words=len(counts))
    print("counted with tinydep", tinydep.version)  # into the step's log
    new = Path(data["adapter"] + ".new")
    new.write_text(json.dumps(counts, ensure_ascii=False), encoding="utf-8")
    new.replace(data["adapter"])
    return {"rows": len(rows), "words": len(counts)}
