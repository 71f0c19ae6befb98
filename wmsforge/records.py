"""What flows between steps: typed, frozen, JSON in and out.

Characters are counted in Unicode code points of NFC text; spans are half-open [start, end).
Ids are content hashes, so the same content has the same id in every run.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Difficulty = Literal["beginner", "intermediate", "expert"]


def content_id(*parts: object) -> str:
    """Return 16 hex digits that identify these JSON values."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


class Record(BaseModel):
    """Base of all records."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="Content hash, 16 hex digits.")


class Document(Record):
    """One unit of a source: a text file, a PDF page, a table row or a JSON record."""

    text: str = Field(description="The content as readable NFC text.")
    path: str = Field(description="The file, as the recipe's path pattern found it, in NFC.")
    sha256: str = Field(description="SHA-256 of the file's bytes, hex.")
    title: str = Field(default="", description="Title found in the source, or empty.")
    page: int | None = Field(default=None, description="1-based page of a paged file.")
    row: int | None = Field(default=None, description="1-based row or record of a table or list.")
    fields: dict[str, Any] = Field(default_factory=dict, description="A row's or record's own fields.")


class Passage(Record):
    """A span of a Document that a retriever can return."""

    document_id: str
    path: str
    text: str = Field(description="Exactly document.text[start:end].")
    start: int = Field(ge=0, description="First character of the span in the document's text.")
    end: int = Field(ge=0, description="One past the span's last character.")
    section: str = Field(default="", description="Headings above the passage, joined by ' > '.")
    title: str = ""
    page: int | None = None
    row: int | None = None


class Retrieved(BaseModel):
    """A passage that was found, with its score (higher is better; comparable within one query)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passage: Passage
    score: float


class Persona(BaseModel):
    """A customer who asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: str = ""
    background: str = ""
    concerns: tuple[str, ...] = ()
    question_style: str = ""


class Question(Record):
    """A question, who asks it and what it is about."""

    text: str
    persona: Persona | None = None
    topic: str = ""
    difficulty: Difficulty | None = None
    origin: str = Field(default="", description="Where it comes from: 'questions.csv:12' or a model's name.")


class Answer(Record):
    """An answer with the question it answers and the passages that were given to the model."""

    question: Question
    text: str
    retrieved: tuple[Retrieved, ...] = Field(default=(), description="In the order the model saw them.")
    cited: tuple[int, ...] = Field(default=(), description="Indexes into `retrieved` that the answer rests on.")
    source_line: str = Field(
        default="", description="Names the cited sources for a reader; datasets put it below the text."
    )
    model: str = Field(default="", description="The model that wrote the text.")
    created_at: str = Field(default="", description="When the model answered, ISO 8601 UTC; stays on reuse.")

    @property
    def text_with_sources(self) -> str:
        """What a reader is given. Filters judge `text`, which holds nothing but the answer itself."""
        return f"{self.text}\n\n{self.source_line}" if self.source_line else self.text


class Artifact(BaseModel):
    """What a step makes that is not records: an index, a dataset, an adapter, a model, an endpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["index", "dataset", "adapter", "model", "endpoint", "report"]
    path: str = Field(default="", description="The file or folder that holds it.")
    url: str = Field(default="", description="The address of an endpoint.")
    also: tuple[str, ...] = Field(default=(), description="Further files that belong to it, such as an eval split.")
    facts: dict[str, Any] = Field(default_factory=dict, description="Counts and settings worth keeping.")
