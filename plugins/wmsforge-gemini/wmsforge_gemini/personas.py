"""Question generator `gemini-personas`: a model plays customers, all their topics side by side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pydantic import Field

from wmsforge.builtin.personas import LEVELS, AskedQuestions, PersonaQuestions, repeats
from wmsforge.errors import RecordError
from wmsforge.records import Difficulty, Document, Persona, Question
from wmsforge.structured import ask


@dataclass(frozen=True)
class Role:
    """One persona with one topic: what one call asks for."""

    persona: Persona
    topic: str


class GeminiPersonas(PersonaQuestions):
    """Asks `per_topic` questions as each persona about each topic, without looking at any document.

    A task is one persona with one topic and knows of no other: all of them can be asked at once, or go
    into one batch job. So a change to one persona, or one more topic, pays for what is new alone. What two
    topics of a persona have in common may be asked twice; the filter `near-duplicates` finds that.

    Each task is one call, and another one only if it gave too few or unreadable questions. A task that
    stays short of some is warned about, one without any question is rejected.
    """

    class Options(PersonaQuestions.Options):
        temperature: float = Field(
            default=1.0, ge=0, le=2, description="Temperature; Google advises against less than 1 for Gemini 3."
        )
        max_tokens: int = Field(
            default=4000,
            ge=1,
            description="Tokens of one answer: all its questions and the model's thoughts.",
        )

    options: Options

    def tasks(self, documents: Iterable[Document]) -> Iterator[tuple[str, Any]]:
        """Yield (name, role), topic by topic: a preview hears every persona. No document is looked at."""
        for topic in self.options.topics:
            for name, persona in self._personas.items():
                yield f"{name}: {topic}", Role(persona, topic)

    async def generate(self, task: Any) -> AsyncIterator[Question]:
        """Yield the questions of one persona about one topic.

        Raises:
            RecordError: If there is none: `too_few_questions`, or why the last call failed.
        """
        role: Role = task
        wanted = self._levels(role)
        asked: list[str] = []
        failure = RecordError("too_few_questions", "the model gave no new question")
        sample = 0
        while wanted and sample < self.options.max_rounds:
            request = self._request(role.persona, role.topic, wanted, asked, sample)
            try:
                answer = await ask(self._chat, request, AskedQuestions, max_rounds=self.options.max_rounds - sample)
            except RecordError as error:
                failure = error
                break
            sample = answer.sample + 1
            for one in answer.value.questions:
                if wanted and not repeats(one.question, asked):
                    asked.append(one.question)
                    wanted.remove(one.difficulty if one.difficulty in wanted else wanted[0])
                    yield self._question(role.persona, role.topic, one)
        if not asked:
            detail = f"{role.persona.name} asked nothing about {role.topic!r}: {failure.detail}"
            raise RecordError(failure.reason, detail, failure.raw)
        if wanted:
            self.context.warn(
                f"{role.persona.name} asked {len(asked)} of {self.options.per_topic} questions about {role.topic!r} "
                f"(last reason: {failure}). Raise max_rounds, or max_tokens when answers are cut off."
            )

    def _levels(self, role: Role) -> list[Difficulty]:
        """Return the levels to ask for: all in turn, from one that only this name and topic decide.

        Not from the topic's place in the list: a topic that is put before others would change their prompts.
        """
        first = blake2b(f"{role.persona.name}\0{role.topic}".encode(), digest_size=8).digest()
        start = int.from_bytes(first, "big")
        return [LEVELS[(start + number) % len(LEVELS)] for number in range(self.options.per_topic)]
