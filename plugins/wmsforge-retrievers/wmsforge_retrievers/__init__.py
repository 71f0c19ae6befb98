"""wmsforge plugin: the retrievers `faiss`, `bm25` and `hybrid`."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_retrievers(register: Register) -> None:
    register(
        "faiss",
        "wmsforge_retrievers.faiss:FaissRetriever",
        summary="Ranks passages by the similarity of their embeddings, in a FAISS index.",
    )
    register(
        "bm25",
        "wmsforge_retrievers.bm25:Bm25Retriever",
        summary="Ranks passages by the Korean morphemes they share with the query.",
    )
    register(
        "hybrid",
        "wmsforge_retrievers.hybrid:HybridRetriever",
        summary="Joins the rankings of two or more retrievers.",
    )
