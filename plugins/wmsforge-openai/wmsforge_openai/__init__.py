"""Chat models and embedders behind any server that speaks OpenAI's API."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_chat_models(register: Register) -> None:
    register(
        "openai-compatible",
        "wmsforge_openai.chat_model:OpenAICompatibleModel",
        summary="A model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, a provider.",
    )


@hookimpl
def register_embedders(register: Register) -> None:
    register(
        "openai-compatible",
        "wmsforge_openai.embedder:OpenAICompatibleEmbedder",
        summary="An embedding model behind an OpenAI-compatible server or a provider.",
    )
