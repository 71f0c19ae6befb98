"""The filter `no-shouting`."""

from __future__ import annotations

import re

from pydantic import Field

from wmsforge import options
from wmsforge.records import Question, content_id
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop

_MARKS = re.compile("[!！]")


class NoShouting(Filter):
    """Counts exclamation marks in questions and answers; above the limit it drops the record or ends it calmly."""

    version = "1"

    class Options(options.Options):
        max_marks: int = Field(default=1, ge=0, description="Exclamation marks that a text may hold.")
        calm: bool = Field(
            default=False, description="Whether to turn the marks of a question that has too many into full stops."
        )

    options: Options

    def check(self, record: Item) -> Verdict:
        marks = len(_MARKS.findall(record.text))
        if marks <= self.options.max_marks:
            return KEEP
        if self.options.calm and isinstance(record, Question):
            text = re.sub("[!！]+", ".", record.text)
            calmed = record.model_copy(update={"id": content_id(record.id, text), "text": text})
            return Verdict(keep=True, replacement=calmed)
        return drop("shouting", f"{marks} exclamation marks, at most {self.options.max_marks}")
