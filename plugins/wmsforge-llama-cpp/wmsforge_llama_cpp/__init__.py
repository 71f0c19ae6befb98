"""GGUF models in this process, through llama.cpp."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_chat_models(register: Register) -> None:
    register(
        "llama-cpp",
        "wmsforge_llama_cpp.chat_model:LlamaCppModel",
        summary="A GGUF model in this process, on the CPU: Gemma 3 270M unless told otherwise.",
    )
