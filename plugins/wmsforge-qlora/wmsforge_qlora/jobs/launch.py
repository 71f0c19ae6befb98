"""Training on several GPUs of this machine: one process each, sharded by FSDP, started by accelerate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

from wmsforge.env.worker import JobError, Report
from wmsforge_qlora.jobs.settings import Job

POLL_S = 0.2
JOB, PROGRESS, RESULT, ERROR, STOP = "job.json", "progress.jsonl", "result.json", "error.json", "stop"
"""Files between this process and the first rank, in a folder of their own."""


def command(job: Job, folder: Path) -> list[str]:
    """Return the command line that starts all ranks."""
    recompute = "true" if job.settings.activation_checkpointing else "false"
    return [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--num_processes", str(job.settings.devices)),
        *("--num_machines", "1"),
        *("--main_process_port", "0"),  # any free one
        *("--mixed_precision", "bf16"),
        *("--dynamo_backend", "no"),
        "--use_fsdp",
        *("--fsdp_version", "1"),
        *("--fsdp_sharding_strategy", "FULL_SHARD"),
        *("--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"),
        *("--fsdp_state_dict_type", "FULL_STATE_DICT"),
        *("--fsdp_cpu_ram_efficient_loading", "true"),
        *("--fsdp_sync_module_states", "true"),
        *("--fsdp_use_orig_params", "false"),
        *("--fsdp_offload_params", "false"),
        *("--fsdp_activation_checkpointing", recompute),
        *("-m", "wmsforge_qlora.jobs.rank", str(folder)),
    ]


def train_on_devices(data: dict[str, Any], job: Job, report: Report) -> dict[str, Any]:
    """Do the job of `wmsforge_qlora.jobs.train.train` in one process a GPU, and pass on what the first one reports.

    Raises:
        JobError: What a rank raised for the user.
        MemoryError: If a rank ran out of memory.
        RuntimeError: If the ranks ended in another way; what they printed is in the log.
    """
    folder = job.folder / "ranks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / JOB).write_text(json.dumps(data), encoding="utf-8")
    (folder / PROGRESS).touch()
    with (
        subprocess.Popen(command(job, folder), stdin=subprocess.DEVNULL) as process,
        (folder / PROGRESS).open("rb") as told,
    ):
        while process.poll() is None:
            _pass_on(told, report)
            if report.stop_requested:
                (folder / STOP).touch()
            time.sleep(POLL_S)
        _pass_on(told, report)
    if (folder / ERROR).is_file():
        error = json.loads((folder / ERROR).read_text(encoding="utf-8"))
        raise (JobError if error["kind"] == "user" else MemoryError)(error["message"])
    if process.returncode or not (folder / RESULT).is_file():
        raise RuntimeError(f"accelerate ended with exit code {process.returncode}; what its processes said is above")
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def _pass_on(file: BinaryIO, report: Report) -> None:
    """Pass on the whole lines that were added since the last call."""
    while line := file.readline():
        if not line.endswith(b"\n"):  # the rest of it is still being written
            file.seek(-len(line), os.SEEK_CUR)
            return
        told = json.loads(line)
        if "note" in told:
            report.note(told["note"])
        elif "warn" in told:
            report.warn(told["warn"])
        else:
            report.progress(told["done"], told["total"], unit=told["unit"], **told["facts"])
