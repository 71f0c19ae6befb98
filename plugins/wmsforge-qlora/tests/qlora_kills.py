"""Trainings in processes of their own that kill themselves at a chosen place, as a power cut or the kernel would."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from qlora_doubles import ReportDouble

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["wmsforge_qlora.jobs.training"])  # torch and trl are imported once for all


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_until(data: dict[str, Any], place: str) -> int:
    """Train in a process that dies at `place`; return its exit code, -9 when it did.

    Places: "step 6" after that step; "saving 8" with half of that checkpoint written; "unmarked 8" with all of it
    written but its mark; "adapter" with half of the adapter saved; "" nowhere.
    """
    process = _PROCESSES.Process(target=_train, args=(data, place))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def _train(data: dict[str, Any], place: str) -> None:
    import torch
    from wmsforge_qlora.jobs import callbacks, training

    torch.set_num_threads(1)
    kind, _, number = place.partition(" ")
    report = ReportDouble()
    if kind == "step":
        report.at_step = lambda step: die() if step == int(number) else None
    if kind in ("saving", "unmarked"):
        mark = callbacks.mark_complete

        def torn(checkpoint: Path) -> None:
            if checkpoint.name == f"checkpoint-{number}":
                if kind == "saving":
                    optimizer = checkpoint / "optimizer.pt"
                    optimizer.write_bytes(optimizer.read_bytes()[:1000])
                    (checkpoint / "trainer_state.json").unlink()
                die()
            mark(checkpoint)

        callbacks.mark_complete = torn
    if kind == "adapter":
        training.serving_copy = lambda template: die()
    from wmsforge_qlora.jobs.train import train

    train(data, report)
