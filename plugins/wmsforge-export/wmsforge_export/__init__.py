"""A trained model in the forms it is served in: merged, FP8, GGUF, published; each checked against the one before."""

from wmsforge.hookspecs import Register, RegisterEnvironment, hookimpl


@hookimpl
def register_exporters(register: Register) -> None:
    register(
        "merge",
        "wmsforge_export.merge:Merge",
        summary="Merges a LoRA adapter into the base it was trained on, in fp32, saved as bf16 safetensors.",
    )
    register(
        "fp8",
        "wmsforge_export.fp8:Fp8",
        summary="Quantises a model to FP8 in the compressed-tensors format that vLLM and SGLang load.",
    )
    register(
        "gguf",
        "wmsforge_export.gguf:Gguf",
        summary="Converts a model to GGUF for llama.cpp and Ollama, with a Modelfile.",
    )
    register(
        "hub",
        "wmsforge_export.hub:Hub",
        summary="Makes a folder for the model hub with a model card; uploads it only with push: true.",
    )


@hookimpl
def register_environments(register: RegisterEnvironment) -> None:
    register(
        "merge",
        "wmsforge_export:locks/merge",
        extra="merge",
        summary="torch, transformers, PEFT, bitsandbytes and llama.cpp, to merge and to compare.",
    )
    register(
        "fp8", "wmsforge_export:locks/fp8", extra="fp8", summary="llmcompressor with the compressed-tensors it pins."
    )
    register(
        "gguf", "wmsforge_export:locks/gguf", extra="gguf", summary="llama.cpp's converter, which brings its own gguf."
    )
