"""Google's Gemini, and the customers it plays."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_chat_models(register: Register) -> None:
    register(
        "gemini",
        "wmsforge_gemini.chat_model:GeminiModel",
        summary="Google's Gemini; at half price with service_tier flex or in batch jobs.",
    )


@hookimpl
def register_question_generators(register: Register) -> None:
    register(
        "gemini-personas",
        "wmsforge_gemini.personas:GeminiPersonas",
        summary="Plays the personas of a YAML file, each with each topic on its own, so that all can be asked at once.",
    )
