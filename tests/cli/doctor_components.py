"""A plugin for the tests of `doctor`: a trainer with an environment, whose lock a test writes into `doctor_locks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from wmsforge import options
from wmsforge.hookspecs import Register, RegisterEnvironment, hookimpl
from wmsforge.options import Env, NotIdentity
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.machine import Finding, Machine
from wmsforge.steps.trainer import Trainer


class Heavy(Trainer):
    class Options(options.Options):
        env: Annotated[Env, NotIdentity()] = Field(default="auto", description="Where it runs.")

    environment: ClassVar[str] = "heavy"

    def environments(self) -> Sequence[EnvironmentUse]:
        return [EnvironmentUse(self.environment, self.options.env)]

    def doctor(self, machine: Machine) -> Sequence[Finding]:
        return [Finding("warning", f"it sees {len(machine.gpus)} GPUs", "Bring more.")]

    async def train(self, dataset: Artifact) -> Artifact:
        return Artifact(kind="adapter", path=dataset.path, facts={"rows": dataset.facts["rows"]})


class Faulty(Heavy):
    def doctor(self, machine: Machine) -> Sequence[Finding]:
        raise ZeroDivisionError("a fault")


class Silent(Heavy):
    def environments(self) -> Sequence[EnvironmentUse]:
        raise ZeroDivisionError("a fault")


class Homeless(Heavy):
    environment = "nowhere"


@hookimpl
def register_trainers(register: Register) -> None:
    register("heavy", f"{__name__}:Heavy", summary="Needs an environment.")
    register("faulty", f"{__name__}:Faulty", summary="Fails to say what it needs.")
    register("silent", f"{__name__}:Silent", summary="Fails to say which environments it needs.")
    register("homeless", f"{__name__}:Homeless", summary="Needs an environment that nobody offers.")


@hookimpl
def register_environments(register: RegisterEnvironment) -> None:
    register("heavy", "doctor_locks:locks", extra="heavy", summary="For tests.")
