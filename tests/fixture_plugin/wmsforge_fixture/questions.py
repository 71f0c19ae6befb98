"""The question generator `echo-questions`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import PurePath

from pydantic import Field

from wmsforge.errors import RecordError
from wmsforge.options import Options as BaseOptions
from wmsforge.records import Document, Question, content_id
from wmsforge.steps.question_generator import QuestionGenerator


class EchoQuestions(QuestionGenerator):
    """Asks what a document's own opening words mean."""

    class Options(BaseOptions):
        words: int = Field(default=4, ge=1, description="Words of the document that the question repeats.")

    options: Options

    def tasks(self, documents: Iterable[Document]) -> Iterable[tuple[str, Document]]:
        for document in documents:
            yield document.id, document

    async def generate(self, task: Document) -> AsyncIterator[Question]:
        words = task.text.split()[: self.options.words]
        if not words:
            raise RecordError("empty_document", f"{task.path} has no words")
        text = f"‘{' '.join(words)}’ 부분의 핵심은 무엇인가요?"
        origin = f"{PurePath(task.path).name}:{task.row or task.page or 1}"
        yield Question(id=content_id(text), text=text, topic=task.title, origin=origin)
