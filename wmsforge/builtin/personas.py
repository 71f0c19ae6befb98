"""Question generator `personas`: an instruction-tuned model plays customers and asks about topics."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from wmsforge.builtin.persona_file import load_personas
from wmsforge.builtin.persona_prompt import SHOWN, build_messages, wording
from wmsforge.builtin.text_file import must_exist
from wmsforge.errors import RecordError
from wmsforge.options import ChatModelRef
from wmsforge.options import Options as BaseOptions
from wmsforge.records import Difficulty, Document, Persona, Question, content_id
from wmsforge.steps.chat_model import Chat, ChatRequest
from wmsforge.steps.expect import Asking, Expected, Range
from wmsforge.steps.question_generator import QuestionGenerator
from wmsforge.structured import ask

LEVELS: tuple[Difficulty, ...] = get_args(Difficulty)

QUESTION_CHARS = 120
"""Characters of a question at most, as far as a quote goes."""
ANSWER_TOKENS = 10
"""Tokens of a question in JSON at least, as far as a quote goes."""
SAME = 0.9
"""Share of letters that two questions must have in common to be the same."""

_PARTICLE = re.compile(r"(?<=\w)(은|는|이|가|을|를|에|의|도|로|와|과)$")

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Asked(BaseModel):
    """One question of a model's answer."""

    model_config = ConfigDict(extra="forbid")

    question: Text
    difficulty: Difficulty


class AskedQuestions(BaseModel):
    """A model's answer."""

    model_config = ConfigDict(extra="forbid")

    questions: list[Asked]


class PersonaQuestions(QuestionGenerator):
    """Asks `per_topic` questions as each persona about each topic, without looking at any document.

    A task is one persona, its topics come one after another: the model sees what this persona asked
    before, and what it repeats is not taken. Too few or unreadable questions are asked for again. A
    persona that stays short of some is warned about, one without any question is rejected; every
    raw answer is in the ledger.
    """

    class Options(BaseOptions):
        model: ChatModelRef = Field(description="The chat model that plays the personas; an instruction-tuned one.")
        personas: Path = Field(
            description="YAML file with a list 'personas' of name, role, background, concerns and question_style; "
            "seen from the working directory."
        )
        topics: tuple[Text, ...] = Field(min_length=1, description="What to ask about, each once.")
        per_topic: int = Field(default=2, ge=1, le=100, description="Questions of each persona about each topic.")
        temperature: float = Field(
            default=0.9, ge=0, le=2, description="Temperature; at 0 asking again changes little."
        )
        max_tokens: int = Field(default=1500, ge=1, description="Tokens of one answer, which holds all its questions.")
        max_rounds: int = Field(default=3, ge=1, description="Calls for one topic at most, asking again included.")

        @field_validator("topics")
        @classmethod
        def _check_topics(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
            twice = sorted({topic for topic in topics if topics.count(topic) > 1})
            if twice:
                raise ValueError(f"names {', '.join(map(repr, twice))} more than once")
            return topics

    options: Options

    def inputs(self) -> Sequence[Path]:
        return must_exist(self.options.personas)

    def expect(self, items: Range) -> Expected:
        """Expect a call for each persona and topic, more where it gives too few questions."""
        options, words = self.options, wording(self.context.language)
        personas = load_personas(options.personas).values()
        once = len(personas) * len(options.topics)
        levels = [LEVELS[number % len(LEVELS)] for number in range(options.per_topic)]
        lengths = [
            sum(len(message.content) for message in build_messages(words, persona, topic, levels, ()))
            for persona in personas
            for topic in options.topics
        ]
        listed = min(SHOWN, (len(options.topics) + 1) * options.per_topic) * QUESTION_CHARS
        most = max(lengths) + listed + len(json.dumps(answer_schema(options.per_topic)))
        return Expected(
            Range(once, once * options.per_topic),
            (
                Asking(
                    options.model,
                    Range(once, once * options.max_rounds),
                    Range(min(lengths), most),
                    Range(min(ANSWER_TOKENS * options.per_topic, options.max_tokens), options.max_tokens),
                ),
            ),
        )

    async def open(self) -> None:
        self._personas = load_personas(self.options.personas)
        self._chat: Chat = await self.context.chat(self.options.model)
        self._words = wording(self.context.language)
        if not self._chat.instruct:
            self.context.warn(
                f"{self._chat.name} is a base model and 'personas' needs an instruction-tuned one: expect questions "
                "that make no sense. Use such a model, or 'question-bank' with questions that people wrote."
            )

    def tasks(self, documents: Iterable[Document]) -> Iterator[tuple[str, Persona]]:
        """Yield (name, persona); no document is looked at."""
        yield from self._personas.items()

    async def generate(self, task: Persona) -> AsyncIterator[Question]:
        """Yield the questions of one persona as they come.

        Raises:
            RecordError: If there is none: `too_few_questions`, or why the last topic failed.
        """
        asked: list[str] = []
        missing: list[str] = []
        failure = RecordError("too_few_questions", "the model gave no new question")
        for topic, wanted in zip(self.options.topics, self._mixes(), strict=False):
            sample = 0
            while wanted and sample < self.options.max_rounds:
                try:
                    answer = await ask(
                        self._chat,
                        self._request(task, topic, wanted, asked, sample),
                        AskedQuestions,
                        max_rounds=self.options.max_rounds - sample,
                    )
                except RecordError as error:
                    failure = error
                    break
                sample = answer.sample + 1
                for one in answer.value.questions:
                    if wanted and not repeats(one.question, asked):
                        asked.append(one.question)
                        wanted.remove(one.difficulty if one.difficulty in wanted else wanted[0])
                        yield self._question(task, topic, one)
            if wanted:
                missing.append(f"{len(wanted)} about {topic!r}")
        if not asked:
            raise RecordError(failure.reason, f"{task.name} asked nothing: {failure.detail}", failure.raw)
        if missing:
            self.context.warn(
                f"{task.name} asked {len(asked)} of {len(self.options.topics) * self.options.per_topic} questions; "
                f"missing are {', '.join(missing)} (last reason: {failure}). Raise max_rounds, or max_tokens when "
                "answers are cut off."
            )

    def _mixes(self) -> Iterator[list[Difficulty]]:
        """Yield the levels to ask for, topic by topic: all levels in turn, going on where the last topic ended."""
        levels = (LEVELS[number % len(LEVELS)] for number in count())
        while True:
            yield list(islice(levels, self.options.per_topic))

    def _request(
        self, persona: Persona, topic: str, wanted: Sequence[Difficulty], asked: Sequence[str], sample: int
    ) -> ChatRequest:
        return ChatRequest(
            messages=build_messages(self._words, persona, topic, wanted, asked),
            max_tokens=self.options.max_tokens,
            temperature=self.options.temperature,
            sample=sample,
            json_schema=answer_schema(len(wanted)),
        )

    def _question(self, persona: Persona, topic: str, asked: Asked) -> Question:
        return Question(
            id=content_id(persona.model_dump(mode="json"), topic, asked.question),
            text=asked.question,
            persona=persona,
            topic=topic,
            difficulty=asked.difficulty,
            origin=self._chat.name,
        )


def answer_schema(questions: int) -> dict[str, Any]:
    """Return the JSON schema of an answer with so many questions; written flat, as not every server follows `$ref`."""
    question = {
        "type": "object",
        "properties": {"question": {"type": "string"}, "difficulty": {"type": "string", "enum": list(LEVELS)}},
        "required": ["question", "difficulty"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"questions": {"type": "array", "items": question, "minItems": questions, "maxItems": questions}},
        "required": ["questions"],
        "additionalProperties": False,
    }


def repeats(question: str, asked: Iterable[str]) -> bool:
    """Tell whether a question is an earlier one with another ending, other particles, or a few letters more or less.

    One word in place of another makes another question, be it one letter apart (입고, 출고). Questions
    that mean the same in other words are for a near-duplicate filter, which knows meanings.
    """
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(_stem(question))
    for earlier in asked:
        matcher.set_seq1(_stem(earlier))
        if (
            matcher.real_quick_ratio() >= SAME
            and matcher.ratio() >= SAME
            and not any(change == "replace" for change, *_ in matcher.get_opcodes())
        ):
            return True
    return False


def _stem(question: str) -> str:
    """Return the letters and digits of the words without particles, and without the ending (하나요, 할까요)."""
    words = re.sub(r"[^\w\s]|_", " ", unicodedata.normalize("NFKC", question).casefold()).split()
    letters = "".join(_PARTICLE.sub("", word) for word in words)
    return letters[:-3] if len(letters) > 8 else letters
