"""wmsforge plugin: the trainer `qlora` and the environments that it trains in."""

from wmsforge.hookspecs import Register, RegisterEnvironment, hookimpl


@hookimpl
def register_trainers(register: Register) -> None:
    register(
        "qlora",
        "wmsforge_qlora.trainer:QloraTrainer",
        summary="Fine-tunes a LoRA adapter on a 4-bit base; every row is trained on or listed, every kill is resumed.",
    )


@hookimpl
def register_environments(register: RegisterEnvironment) -> None:
    register(
        "qlora",
        "wmsforge_qlora:locks",
        extra="train",
        summary="torch, transformers, TRL, PEFT and bitsandbytes.",
    )
    register(
        "qlora-unsloth",
        "wmsforge_qlora:locks_unsloth",
        extra="train-unsloth",
        summary="unsloth, which excludes the TRL of the other; needs an NVIDIA GPU.",
    )
