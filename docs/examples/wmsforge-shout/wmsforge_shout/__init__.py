"""What this plugin offers. Nothing heavy is imported here: every command that needs components loads this module."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_filters(register: Register) -> None:
    register(
        "no-shouting",
        "wmsforge_shout.filter:NoShouting",
        summary="Drops or calms texts with too many exclamation marks.",
    )
