"""Drops questions and answers that are too short or too long."""

from __future__ import annotations

from pydantic import Field, model_validator

from wmsforge import options
from wmsforge.records import Question
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop


class LengthFilter(Filter):
    """Keeps texts within bounds, in characters without outer blanks; both bounds are allowed lengths."""

    class Options(options.Options):
        question_min_chars: int = Field(default=5, ge=0, description="Shortest question in characters.")
        question_max_chars: int = Field(default=300, ge=1, description="Longest question in characters.")
        answer_min_chars: int = Field(default=10, ge=0, description="Shortest answer in characters.")
        answer_max_chars: int = Field(default=2000, ge=1, description="Longest answer in characters.")

        @model_validator(mode="after")
        def _ordered(self) -> LengthFilter.Options:
            for what in ("question", "answer"):
                least, most = getattr(self, f"{what}_min_chars"), getattr(self, f"{what}_max_chars")
                if least > most:
                    raise ValueError(f"{what}_min_chars is {least} and {what}_max_chars {most}: nothing could be kept")
            return self

    options: Options

    def check(self, record: Item) -> Verdict:
        chars = len(record.text.strip())
        what = "question" if isinstance(record, Question) else "answer"
        least: int = getattr(self.options, f"{what}_min_chars")
        most: int = getattr(self.options, f"{what}_max_chars")
        if chars < least:
            return drop("too_short", f"{what} of {chars} characters, at least {least}")
        if chars > most:
            return drop("too_long", f"{what} of {chars} characters, at most {most}")
        return KEEP
