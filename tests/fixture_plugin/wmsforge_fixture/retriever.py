"""The retriever `keyword`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from wmsforge.errors import StepError
from wmsforge.records import Artifact, Document, Passage, Retrieved, content_id
from wmsforge.steps.retriever import Retriever

_INDEX = TypeAdapter(list[Passage])


class KeywordRetriever(Retriever):
    """Ranks paragraphs by the share of the query's keywords that they hold."""

    async def build(self, documents: Iterable[Document]) -> Artifact:
        self._keep([passage for document in documents for passage in _paragraphs(document)])
        temporary = self._path.with_suffix(".new")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_INDEX.dump_json(self._passages))
        temporary.replace(self._path)
        return Artifact(kind="index", path=str(self.context.folder), facts={"passages": len(self._passages)})

    async def load(self) -> None:
        try:
            self._keep(_INDEX.validate_json(self._path.read_bytes()))
        except (OSError, ValidationError) as error:
            raise StepError(
                f"The keyword index {self._path} is missing or torn: {error}\n"
                f"Build it anew: delete {self.context.folder} and run the same command again."
            ) from error

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        asked = keywords(query)
        scored = [
            (len(asked & held) / len(asked), passage)
            for passage, held in zip(self._passages, self._keywords, strict=True)
            if asked & held
        ]
        scored.sort(key=lambda pair: -pair[0])
        return [Retrieved(passage=passage, score=score) for score, passage in scored[:top_k]]

    @property
    def _path(self) -> Path:
        return self.context.folder / "keyword.json"

    def _keep(self, passages: list[Passage]) -> None:
        self._passages = passages
        self._keywords = [keywords(passage.text) for passage in passages]


def keywords(text: str) -> set[str]:
    """Return the two-letter pieces of the words: Korean particles then do not hide a noun."""
    words = re.findall(r"\w+", text.lower())
    return {word[start : start + 2] for word in words for start in range(max(1, len(word) - 1))}


def _paragraphs(document: Document) -> Iterable[Passage]:
    for match in re.finditer(r"\S.*?(?=\n\s*\n|\s*\Z)", document.text, re.DOTALL):
        start, end = match.span()
        yield Passage(
            id=content_id(document.id, start, end),
            document_id=document.id,
            path=document.path,
            text=document.text[start:end],
            start=start,
            end=end,
            title=document.title,
            page=document.page,
            row=document.row,
        )
