"""The loader `langchain-documents`: the chunks of an index that LangChain saved, where their files are gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from wmsforge.errors import RecordError
from wmsforge.files import file_digest
from wmsforge.records import Document
from wmsforge.steps.loader import Loader
from wmsforge_langchain.passages import document
from wmsforge_langchain.saved import Saved, SavedOptions


class LangChainDocumentsLoader(Loader):
    """Gives each chunk as a Document that a retriever leaves whole, with its source, its page and its metadata."""

    class Options(SavedOptions):
        pass

    options: Options

    def inputs(self) -> Sequence[Path]:
        saved = self._saved()
        return saved.files(saved.documents)

    def sources(self) -> Iterable[Path | str]:
        return self.inputs()

    def load(self, source: Path | str) -> Iterable[Document]:
        saved = self._saved()
        name, sha256 = saved.documents.as_posix(), file_digest(saved.documents)
        chunks = saved.read_documents()
        documents = [
            document(chunk, position, name, sha256) for position, chunk in enumerate(chunks) if chunk.text.strip()
        ]
        if not documents:
            raise RecordError("empty", f"The file holds {len(chunks):,} chunks, and no text in them.")
        return documents

    def _saved(self) -> Saved:
        return Saved(self.options, f"Step {self.context.step!r}")
