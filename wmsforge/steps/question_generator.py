"""QuestionGenerator: tasks (a persona, a topic, a row, a document) in, Questions out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import Any

from wmsforge.records import Document, Question
from wmsforge.steps.base import Component


class QuestionGenerator(Component):
    """Asks questions. Tasks run side by side; the questions of one task come one after another."""

    @abstractmethod
    def tasks(self, documents: Iterable[Document]) -> Iterable[tuple[str, Any]]:
        """Return (task id, task) pairs in a stable order, which is the order of the questions.

        Best is one model call a task, and what a preview should hear first: many tasks run at once, and a
        change that leaves a task as it was pays nothing for it.
        `documents` are those of the step named by `from`, or none.
        """

    @abstractmethod
    def generate(self, task: Any) -> AsyncIterator[Question]:
        """Yield the questions of one task: write it as `async def` with `yield`.

        Raises:
            RecordError: If the task gives no usable question; it is reported and skipped.
        """
