"""A plugin with one exporter, whose environment holds another version of what that of wmsforge-fixture holds."""

from wmsforge.hookspecs import Register, RegisterEnvironment, hookimpl


@hookimpl
def register_exporters(register: Register) -> None:
    register("stamp", "wmsforge_neighbour.exporter:Stamp", summary="A copy of a model with a stamp.")


@hookimpl
def register_environments(register: RegisterEnvironment) -> None:
    register("neighbour", "wmsforge_neighbour:locks", extra="stamp", summary="tinydep 2.0, to stamp.")
