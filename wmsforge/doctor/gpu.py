"""The NVIDIA GPUs of this machine, and whether their driver runs the CUDA that a lock pins."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from wmsforge.recipe.environments_used import UsedEnvironment
from wmsforge.steps.machine import Finding, Gpu, Machine

FIELDS = ("name", "memory.total", "driver_version", "compute_cap")
TIMEOUT_S = 30.0
MIN_DRIVER = {11: 450, 12: 525, 13: 580}
"""Major version of CUDA -> the oldest driver for it, its first number. Source: NVIDIA, CUDA Compatibility, "Minor
Version Compatibility", table 1, read in November 2026."""
_OF_CUDA = re.compile(r"-cu(\d{2})$")


def look_for_gpus() -> tuple[Machine, str]:
    """Return the machine with its GPUs, and what nvidia-smi says where it is there and fails."""
    if not shutil.which("nvidia-smi"):
        return Machine(), ""
    told = _ask(FIELDS)
    if told.returncode and "compute_cap" in told.stdout + told.stderr:  # a driver from before it could be asked for
        told = _ask(FIELDS[:-1])
    if told.returncode:
        said = (told.stdout + told.stderr).strip() or f"it ended with {told.returncode}"
        return Machine(), " ".join(said.split())
    return Machine(tuple(_gpu(line) for line in told.stdout.splitlines() if line.count(",") >= 2)), ""


def check_gpus(used: Sequence[UsedEnvironment], machine: Machine, trouble: str) -> Iterator[Finding]:
    """Yield the GPUs, and what is wrong with them for the environments.

    Args:
        trouble: What nvidia-smi said when it failed.
    """
    for gpu in machine.gpus:
        memory = "" if gpu.memory_gib is None else f", {gpu.memory_gib:.0f} GiB"
        capability = "" if gpu.capability is None else ", compute capability {}.{}".format(*gpu.capability)
        yield Finding("ok", f"{gpu.name}{memory}, driver {gpu.driver}{capability}")
    on_gpu = [one for one in used if one.kind == "cuda"]
    if machine.gpus:
        yield from _drivers(on_gpu, sorted({gpu.driver for gpu in machine.gpus}))
        return
    found = f"nvidia-smi fails: {trouble}" if trouble else "there is no NVIDIA GPU here"
    steps = list(dict.fromkeys(step for one in on_gpu for step in one.steps))
    if steps:
        who = f"step {steps[0]!r} asks" if len(steps) == 1 else f"steps {', '.join(map(repr, steps))} ask"
        on_cpu = " ".join(f"--set steps.{step}.env=cpu" for step in steps)
        yield Finding("error", f"{who} for cuda, and {found}", f"Run it where there is one, or on the CPU: {on_cpu}")
    else:
        yield Finding("warning" if trouble else "ok", f"{found}; no step asks for one")


def _drivers(on_gpu: Sequence[UsedEnvironment], drivers: Sequence[str]) -> Iterator[Finding]:
    """Yield each driver that is too old for the CUDA of some environments."""
    by_cuda: dict[int, list[str]] = {}
    for one in on_gpu:
        cuda = cuda_major(one.lock.pins) if one.lock else None
        if cuda in MIN_DRIVER:
            by_cuda.setdefault(cuda, []).append(one.name)
    for cuda, names in by_cuda.items():
        oldest = MIN_DRIVER[cuda]
        for driver in drivers:
            if _first_number(driver) < oldest:
                what = f"the driver {driver} is too old for CUDA {cuda} of {', '.join(names)}, which needs {oldest}"
                yield Finding("error", what, f"Install an NVIDIA driver {oldest} or newer.")


def cuda_major(pins: Mapping[str, str]) -> int | None:
    """Return the major version of CUDA that a lock pins, by names such as nvidia-cudnn-cu13; None without any."""
    majors = [int(found[1]) for found in map(_OF_CUDA.search, pins) if found]
    return max(majors, default=None)


def _ask(fields: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"it did not answer in {TIMEOUT_S:.0f} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _gpu(line: str) -> Gpu:
    name, memory, driver, capability = ([part.strip() for part in line.split(",")] + [""])[:4]
    known = re.fullmatch(r"(\d+)\.(\d+)", capability)
    return Gpu(
        name,
        int(memory) / 1024 if memory.isdigit() else None,  # "[N/A]" where it shares the host's
        driver,
        (int(known[1]), int(known[2])) if known else None,
    )


def _first_number(version: str) -> int:
    found = re.match(r"\d+", version)
    return int(found[0]) if found else 0
