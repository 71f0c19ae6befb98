"""AnswerGenerator: a Question in, an Answer with its Passages out."""

from __future__ import annotations

from abc import abstractmethod

from wmsforge.records import Answer, Question
from wmsforge.steps.base import Component


class AnswerGenerator(Component):
    """Answers questions, one at a time; the engine runs many side by side."""

    @abstractmethod
    async def answer(self, question: Question) -> Answer:
        """Return the answer to one question.

        Raises:
            RecordError: If there is no usable answer; the question is kept among the rejected.
        """
