"""The two components of the orchestration benchmark: they ask the reference's questions, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from orchestration import prompt

from wmsforge.options import ChatModelRef, Options
from wmsforge.records import Answer, Document, Question, content_id
from wmsforge.steps.answer_generator import AnswerGenerator
from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.steps.question_generator import QuestionGenerator


class Numbers(QuestionGenerator):
    """Asks the reference's questions."""

    class Options(Options):
        rows: int

    def tasks(self, documents: Iterable[Document]) -> Iterable[tuple[str, int]]:
        return ((str(number), number) for number in range(self.options.rows))

    async def generate(self, task: int) -> AsyncIterator[Question]:
        yield Question(id=content_id(task), text=prompt(task))


class Ask(AnswerGenerator):
    """Asks the model and nothing else."""

    class Options(Options):
        model: ChatModelRef

    async def open(self) -> None:
        self.chat = await self.context.chat(self.options.model)

    async def answer(self, question: Question) -> Answer:
        request = ChatRequest(messages=(Message(role="user", content=question.text),))
        response = await self.chat.complete(request)
        return Answer(
            id=content_id(question.id, response.text),
            question=question,
            text=response.text,
            model=self.chat.name,
            created_at=response.created_at,
        )
