"""The locks pin what the extras ask for, and nothing of wmsforge."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = [("locks", "cpu", "train"), ("locks", "cuda", "train"), ("locks_unsloth", "cuda", "train-unsloth")]


def pins(folder: str, machine: str) -> dict[str, str]:
    lines = (files("wmsforge_qlora") / folder / f"{machine}.txt").read_text("utf-8").splitlines()
    found = [re.fullmatch(r"([a-z0-9-]+)==([0-9][\w.]*)", line) for line in lines if not line.startswith("#")]
    assert all(found)
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize(("folder", "machine", "extra"), LOCKS)
def test_a_lock_satisfies_its_extra(folder: str, machine: str, extra: str) -> None:
    pinned = pins(folder, machine)
    for requirement in map(Requirement, PROJECT["optional-dependencies"][extra]):
        assert requirement.specifier.contains(pinned[requirement.name]), requirement.name
    assert not [name for name in pinned if name.startswith("wmsforge")]


def test_cpu_and_cuda_differ_by_what_runs_the_gpu_alone() -> None:
    cpu, cuda = pins("locks", "cpu"), pins("locks", "cuda")
    assert cpu.items() <= cuda.items()
    assert {name for name in cuda.keys() - cpu.keys() if not name.startswith(("nvidia-", "cuda-"))} == {"triton"}


def test_the_hook_names_folders_that_are_there() -> None:
    import wmsforge_qlora

    named: dict[str, tuple[str, str]] = {}

    def register(name: str, target: str, *, extra: str, summary: str) -> None:
        named[name] = (target, extra)

    wmsforge_qlora.register_environments(register)
    assert named == {
        "qlora": ("wmsforge_qlora:locks", "train"),
        "qlora-unsloth": ("wmsforge_qlora:locks_unsloth", "train-unsloth"),
    }
    assert {extra for _, extra in named.values()} == set(PROJECT["optional-dependencies"])
