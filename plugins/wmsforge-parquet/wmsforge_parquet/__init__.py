"""Parquet datasets for wmsforge."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_exporters(register: Register) -> None:
    register(
        "parquet",
        "wmsforge_parquet.exporter:Parquet",
        summary="The rows of messages-json as typed, compressed columns.",
    )
