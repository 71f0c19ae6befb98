"""What this plugin offers. Nothing heavy is imported here: this module is loaded by every command."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_filters(register: Register) -> None:
    register(
        "no-shouting",
        "wmsforge_shout.filter:NoShouting",
        summary="Drops or calms texts with too many exclamation marks.",
    )
