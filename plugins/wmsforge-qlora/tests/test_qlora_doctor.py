"""What `qlora` says before a run of presets and devices that the machine does not have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wmsforge_qlora.options import QloraOptions
from wmsforge_qlora.trainer import QloraTrainer

from wmsforge.steps.machine import Finding, Gpu, Machine
from wmsforge.testing import LocalContext

H100 = Gpu("NVIDIA H100 80GB HBM3", 81559 / 1024, "580.65.06", (9, 0))
H200 = Gpu("NVIDIA H200", 143771 / 1024, "580.65.06", (9, 0))
L4 = Gpu("NVIDIA L4", 23034 / 1024, "580.65.06", (8, 9))


def found(machine: Machine, **options: Any) -> Sequence[Finding]:
    return QloraTrainer(QloraOptions(**options), LocalContext(Path(), step="tuned")).doctor(machine)


def test_a_preset_on_its_own_gpu_has_nothing_to_say() -> None:
    assert not found(Machine((H100,)), preset="h100")
    assert not found(Machine((L4, H200)), preset="h200")
    assert not found(Machine(), preset="cpu") and not found(Machine())


def test_a_preset_for_a_gpu_that_is_not_here_is_a_warning() -> None:
    (finding,) = found(Machine(), preset="h200")
    assert finding.level == "warning" and "preset 'h200' sets batches for a GPU of at least 135 GiB" in finding.what
    assert "--set steps.tuned.preset=cpu" in finding.remedy
    (finding,) = found(Machine((L4,)), preset="h100")
    assert "at least 75 GiB, and the largest here has 22" in finding.what
    assert "--set steps.tuned.batch_size=2 --set steps.tuned.gradient_accumulation=8" in finding.remedy
    assert "batch_size=4 " in found(Machine((H100,)), preset="h200")[0].remedy


def test_the_smaller_parts_make_the_same_steps() -> None:
    (finding,) = found(Machine((L4,)), preset="h100", batch_size=3, gradient_accumulation=5)
    assert "batch_size=1 --set steps.tuned.gradient_accumulation=15" in finding.remedy


def test_more_devices_than_gpus_is_an_error() -> None:
    (finding,) = found(Machine((L4,)), devices=4)
    assert finding.level == "error" and "devices: 4 asks for as many GPUs, and this machine has 1" in finding.what
    assert finding.remedy == "--set steps.tuned.devices=1"
    assert not found(Machine((L4, L4)), devices=2) and not found(Machine(), devices=2, env="cpu")
