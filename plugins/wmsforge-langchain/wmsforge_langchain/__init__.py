"""wmsforge plugin: indexes that LangChain's FAISS store saved. LangChain itself is not needed and not imported."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_retrievers(register: Register) -> None:
    register(
        "langchain-faiss",
        "wmsforge_langchain.retriever:LangChainFaissRetriever",
        summary="Searches a FAISS index that LangChain saved, without running its pickle.",
    )


@hookimpl
def register_loaders(register: Register) -> None:
    register(
        "langchain-documents",
        "wmsforge_langchain.loader:LangChainDocumentsLoader",
        summary="Reads the chunks of a FAISS index that LangChain saved as documents, without running its pickle.",
    )
