"""wmsforge plugin: the embedder `sentence-transformers`."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_embedders(register: Register) -> None:
    register(
        "sentence-transformers",
        "wmsforge_sentence_transformers.embedder:SentenceTransformersEmbedder",
        summary="Any sentence-transformers model, from the model hub or a local folder; needs torch.",
    )
