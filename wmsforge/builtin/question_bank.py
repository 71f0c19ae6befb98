"""Question generator `question-bank`: questions people wrote, from a CSV, JSON or YAML file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, field_validator

from wmsforge.builtin.persona_file import load_personas
from wmsforge.builtin.question_rows import READERS, read_rows
from wmsforge.builtin.text_file import must_exist
from wmsforge.errors import RecordError, StepError, did_you_mean
from wmsforge.options import Options as BaseOptions
from wmsforge.records import Difficulty, Document, Persona, Question, content_id
from wmsforge.steps.expect import Expected, Range
from wmsforge.steps.question_generator import QuestionGenerator

COLUMNS = ("question", "persona", "topic", "difficulty")


class QuestionBank(QuestionGenerator):
    """Asks what stands in a file. A task is one row; a bad row is rejected with its line, the others go on."""

    class Options(BaseOptions):
        path: Path = Field(
            description="The file, seen from the working directory: CSV with a header (UTF-8 or CP949), or a JSON or "
            "YAML list. Columns: question, and optionally persona (a name), topic and difficulty (beginner, "
            "intermediate or expert)."
        )
        personas: Path | None = Field(
            default=None,
            description="YAML file of personas, which gives each name its role, background, concerns and style. A row "
            "with a name that it lacks is rejected. Without it a persona is a name alone.",
        )
        limit: int | None = Field(
            default=None, ge=1, description="How many rows to take, from the first; all if unset."
        )

        @field_validator("path")
        @classmethod
        def _check_suffix(cls, path: Path) -> Path:
            if path.suffix not in READERS:
                raise ValueError(f"must end in {', '.join(READERS)}; found {path.name!r}")
            return path

    options: Options

    def inputs(self) -> Sequence[Path]:
        return must_exist(*(path for path in (self.options.path, self.options.personas) if path))

    def expect(self, items: Range) -> Expected:
        """Expect a question for each good row, and no call."""
        good = sum(not isinstance(question, RecordError) for _, question in self.tasks(()))
        return Expected(Range.exactly(good))

    def tasks(self, documents: Iterable[Document]) -> Iterator[tuple[str, Question | RecordError]]:
        """Yield ('questions.csv:12', the question of that line or what is wrong with it).

        Raises:
            StepError: If the file holds no row, or cannot be read as a whole.
        """
        path = self.options.path
        personas = load_personas(self.options.personas) if self.options.personas else None
        on_line: Counter[int] = Counter()
        first_origin: dict[str, str] = {}
        unread: set[str] = set()
        for line, fields in islice(read_rows(path), self.options.limit):
            on_line[line] += 1
            place = f"{line}.{on_line[line]}" if on_line[line] > 1 else f"{line}"
            origin = f"{path.name}:{place}"
            if isinstance(fields, dict):
                self._tell_unread(fields, unread)
            try:
                question = self._question(origin, fields, personas)
                twin = first_origin.setdefault(question.text, origin)
                if twin != origin:
                    raise RecordError("duplicate_question", f"the same question as {twin}", raw=question.text)
            except RecordError as error:
                yield origin, RecordError(error.reason, f"{path}:{place}: {error.detail}", error.raw)
            else:
                yield origin, question
        if not on_line:
            raise StepError(f"{path} holds no questions.\nAdd one a row, under the header 'question'.")

    async def generate(self, task: Question | RecordError) -> AsyncIterator[Question]:
        if isinstance(task, RecordError):
            raise task
        yield task

    def _tell_unread(self, fields: Mapping[str, Any], told: set[str]) -> None:
        for name in fields:
            if name not in COLUMNS and name not in told:
                told.add(name)
                self.context.warn(f"{self.options.path}: {name!r} is not read.{did_you_mean(name, COLUMNS)}")

    def _question(
        self, origin: str, fields: Mapping[str, Any] | RecordError, personas: Mapping[str, Persona] | None
    ) -> Question:
        if isinstance(fields, RecordError):
            raise fields
        raw = json.dumps(fields, ensure_ascii=False)
        try:
            raw.encode()
        except UnicodeEncodeError:
            raise RecordError("bad_row", "it holds half of a character (an unpaired surrogate)", ascii(raw)) from None
        text, name, topic, level = (_text(fields, column, raw) for column in COLUMNS)
        if not text:
            raise RecordError("empty_question", "the question is empty", raw)
        if level and level not in get_args(Difficulty):
            known = ", ".join(get_args(Difficulty))
            raise RecordError("bad_difficulty", f"the difficulty is {level!r}; it can be {known} or empty", raw)
        persona = Persona(name=name) if name else None
        if name and personas is not None:
            persona = personas.get(name)
            if persona is None:
                close = did_you_mean(name, list(personas))
                known = ", ".join(personas)
                detail = f"{self.options.personas} has no persona {name!r}.{close} It has: {known}"
                raise RecordError("unknown_persona", detail, raw)
        return Question.model_validate(
            {
                "id": content_id(text, persona and persona.model_dump(mode="json"), topic, level),
                "text": text,
                "persona": persona,
                "topic": topic,
                "difficulty": level or None,
                "origin": origin,
            }
        )


def _text(fields: Mapping[str, Any], column: str, raw: str) -> str:
    """Return a field with single spaces; an absent one is empty."""
    value = fields.get(column)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RecordError("bad_row", f"{column} must be text, found {value!r}; put it in quotes", raw)
    return " ".join(value.split())
