"""Google's Gemini, and the customers it plays."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_chat_models(register: Register) -> None:
    register(
        "gemini",
        "wmsforge_gemini.chat_model:GeminiModel",
        summary="Google's Gemini; at half price with service_tier flex or in batch jobs.",
    )
