"""Chat models behind any server that speaks OpenAI's chat completions."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_chat_models(register: Register) -> None:
    register(
        "openai-compatible",
        "wmsforge_openai.chat_model:OpenAICompatibleModel",
        summary="A model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, a provider.",
    )
