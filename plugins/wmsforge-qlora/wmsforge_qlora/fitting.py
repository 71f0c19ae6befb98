"""Whether the options of a training fit the GPUs of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from wmsforge.steps.machine import Finding, Machine
from wmsforge_qlora.options import QloraOptions
from wmsforge_qlora.presets import GPU_GIB


def check_machine(options: QloraOptions, machine: Machine, where: str) -> Iterator[Finding]:
    """Yield what the preset and the number of devices ask for that is not here.

    Args:
        where: The step in words of `--set`, such as "steps.adapter".
    """
    if options.devices > 1 and options.env != "cpu" and options.devices > len(machine.gpus):
        what = f"devices: {options.devices} asks for as many GPUs, and this machine has {len(machine.gpus)}"
        yield Finding("error", what, f"--set {where}.devices={max(1, len(machine.gpus))}")
    wanted = GPU_GIB.get(options.preset or "")
    if wanted is None:
        return
    if not machine.gpus:
        yield Finding(
            "warning",
            f"preset {options.preset!r} sets batches for a GPU of at least {wanted:.0f} GiB, and there is none here: "
            f"{options.base} would be trained on the CPU",
            f"Run it on such a machine, or for a small base: --set {where}.preset=cpu",
        )
        return
    memory = max(gpu.memory_gib or 0.0 for gpu in machine.gpus)
    if 0 < memory < wanted:
        smaller = max(1, options.batch_size // 4)
        accumulate = options.gradient_accumulation * options.batch_size // smaller
        yield Finding(
            "warning",
            f"preset {options.preset!r} sets batches for a GPU of at least {wanted:.0f} GiB, and the largest here has "
            f"{memory:.0f}",
            f"The same steps in smaller parts: --set {where}.batch_size={smaller} "
            f"--set {where}.gradient_accumulation={accumulate}",
        )
