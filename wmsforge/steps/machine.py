"""What a component learns of a machine and says about it before a run; see `Component.doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    With an error the run would fail, or be worth nothing; a warning is something the user can change.
    """

    level: Level
    what: str
    """What was asked and what was found, in a sentence; never a secret."""
    remedy: str = ""
    """What to do, best as a command."""


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU as its driver tells it."""

    name: str
    memory_gib: float | None
    """None where it has none of its own."""
    driver: str
    """Version, such as 580.95.05."""
    capability: tuple[int, int] | None
    """Compute capability, (9, 0) for Hopper; None where the driver is too old to tell."""


@dataclass(frozen=True)
class Machine:
    """What a run finds here."""

    gpus: tuple[Gpu, ...] = ()
