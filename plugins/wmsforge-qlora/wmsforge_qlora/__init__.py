"""wmsforge plugin: the trainer `qlora` and the environments that it trains in."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_trainers(register: Register) -> None:
    register(
        "qlora",
        "wmsforge_qlora.trainer:QloraTrainer",
        summary="Fine-tunes a LoRA adapter on a 4-bit base; every row is trained on or listed, every kill is resumed.",
    )
