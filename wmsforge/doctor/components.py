"""What the components themselves say about the machine."""

from __future__ import annotations

from collections.abc import Iterator

from wmsforge.doctor.reading import Readable, from_error
from wmsforge.errors import WmsforgeError
from wmsforge.recipe.environments_used import parts_of, planning_component
from wmsforge.recipe.model import Step
from wmsforge.steps.machine import Finding, Machine


def ask_components(readable: Readable, step: Step, machine: Machine) -> Iterator[Finding]:
    """Yield what a step's components find, models and inline ones included."""
    for use in step.uses:
        for part in parts_of(readable.recipe, use):
            if readable.waits(part):
                continue  # the variable that is not set is an error already
            try:
                yield from planning_component(readable.recipe, step, part).doctor(machine)
            except WmsforgeError as error:
                yield from_error(error)
            except Exception as error:  # a plugin's method may raise anything
                yield Finding(
                    "error",
                    f"{part.offer.name!r} failed to say what it needs: {type(error).__name__}: {error}",
                    f"This is a fault of the component; report it to its plugin, {part.offer.plugin}.",
                )
