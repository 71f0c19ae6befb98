"""The answer generator `first-passage`."""

from __future__ import annotations

from pydantic import Field

from wmsforge.errors import RecordError
from wmsforge.options import Options as BaseOptions
from wmsforge.options import RetrieverRef
from wmsforge.records import Answer, Question, content_id
from wmsforge.steps.answer_generator import AnswerGenerator


class FirstPassage(AnswerGenerator):
    """Answers with the best passage, word for word, and cites it."""

    class Options(BaseOptions):
        retriever: RetrieverRef = Field(description="Where passages are found.")
        top_k: int = Field(default=3, ge=1, description="Passages to look at.")

    options: Options

    async def open(self) -> None:
        self._retriever = await self.context.retriever(self.options.retriever)

    async def answer(self, question: Question) -> Answer:
        found = await self._retriever.search(question.text, self.options.top_k)
        if not found:
            raise RecordError("no_passage", f"nothing matches {question.text!r}")
        text = found[0].passage.text
        return Answer(
            id=content_id(question.id, text),
            question=question,
            text=text,
            retrieved=tuple(found),
            cited=(0,),
            model="first-passage",
        )
