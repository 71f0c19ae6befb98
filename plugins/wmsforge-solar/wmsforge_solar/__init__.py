"""SOLAR as the consultant: answers from passages with their sources, and models that transformers runs."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_answer_generators(register: Register) -> None:
    register(
        "solar-rag",
        "wmsforge_solar.answers:SolarAnswers",
        summary="A WMS consultant who answers from retrieved passages and names the sources at the end.",
    )


@hookimpl
def register_chat_models(register: Register) -> None:
    register(
        "transformers",
        "wmsforge_solar.chat_model:TransformersModel",
        summary="SOLAR or any causal LM by transformers: LoRA adapter, 4-bit NF4, GGUF files; on GPU or CPU.",
    )
