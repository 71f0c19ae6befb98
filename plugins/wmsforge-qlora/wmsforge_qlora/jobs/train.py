"""The job of `qlora`: rows and a base in, an adapter out. Killed, the same job goes on from its checkpoint."""

from __future__ import annotations

import os
from typing import Any

from wmsforge.env.worker import Report
from wmsforge_qlora.jobs.settings import Job


def train(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train an adapter.

    Args:
        data: What `wmsforge_qlora.jobs.settings.Job` reads.

    Returns:
        `adapter`: its folder; `also`: further files; `facts`: losses, counts of rows, tokens, steps and seconds, base.

    Raises:
        JobError: If the user must change something: rows that do not fit, an adapter of another base, ...
    """
    job = Job.of(data)
    if job.settings.backend == "unsloth":
        import unsloth  # noqa: F401 - it patches transformers and trl, so it comes before them
    if job.settings.devices > 1 and "LOCAL_RANK" not in os.environ:
        from wmsforge_qlora.jobs.launch import train_on_devices

        return train_on_devices(data, job, report)
    from wmsforge_qlora.jobs.training import train_here

    return train_here(job, report)
