"""The shape of a dataset's rows, for every format. Its one definition: card and typed files follow it."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field

from wmsforge.records import Answer, Persona, Retrieved
from wmsforge.steps.exporter import Origin


class Source(BaseModel):
    """A passage that the model was given."""

    path: str = Field(description="The document's file.")
    page: int | None = Field(description="1-based page of a paged file.")
    row: int | None = Field(description="1-based row or record of a table or list.")
    section: str = Field(description="Headings above the passage, joined by ' > '.")
    span: tuple[int, int] = Field(description="First character in the document's text, and one past the last.")
    score: float = Field(description="The retriever's score; higher is better, comparable within one row.")
    cited: bool = Field(description="Whether the answer rests on it.")
    passage_id: str = Field(description="Content hash of the passage.")


class Models(BaseModel):
    """Who wrote a row."""

    question: str = Field(description="The model that asked, or file:line of a question that a person wrote.")
    answer: str = Field(description="The model that answered.")


class Metadata(BaseModel):
    """Where a row comes from."""

    topic: str = Field(description="What the question is about.")
    persona: str = Field(description="Who asks: 'name (role)'; empty when no one is named.")
    persona_background: str = Field(description="The situation of the one who asks.")
    context_used: str = Field(description="Texts of the sources, in their order, with an empty line between them.")
    num_docs_retrieved: int = Field(description="How many passages the model was given.")
    created_at: str = Field(description="When the model answered, ISO 8601 UTC.")
    id: str = Field(description="Content hash of the answer.")
    sources: list[Source] = Field(description="The passages that the model was given, in the order it saw them.")
    models: Models = Field(description="Who wrote the question and the answer.")
    difficulty: str | None = Field(description="beginner, intermediate or expert.")
    recipe: str = Field(description="Name of the recipe.")
    recipe_fingerprint: str = Field(description="Fingerprint of the recipe up to this dataset.")
    run_id: str = Field(description="The run that wrote the dataset.")


class Turn(BaseModel):
    """One message."""

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks.")
    content: str = Field(description="What is said.")


class MessagesRow(BaseModel):
    """A row of `messages-json`, `jsonl` and `parquet`."""

    messages: list[Turn] = Field(description="The conversation: an optional system prompt, question, answer.")
    metadata: Metadata = Field(description="Where the row comes from.")


def messages_row(answer: Answer, origin: Origin, system: str) -> MessagesRow:
    """Return the row of one answer; an empty `system` adds no system turn."""
    turns = [Turn(role="system", content=system)] if system else []
    turns.append(Turn(role="user", content=answer.question.text))
    turns.append(Turn(role="assistant", content=answer.text_with_sources))
    return MessagesRow(messages=turns, metadata=metadata(answer, origin))


def metadata(answer: Answer, origin: Origin) -> Metadata:
    """Return where an answer comes from."""
    question = answer.question
    return Metadata(
        topic=question.topic,
        persona=persona_label(question.persona),
        persona_background=question.persona.background if question.persona else "",
        context_used="\n\n".join(found.passage.text for found in answer.retrieved),
        num_docs_retrieved=len(answer.retrieved),
        created_at=answer.created_at,
        id=answer.id,
        sources=[_source(found, index in answer.cited) for index, found in enumerate(answer.retrieved)],
        models=Models(question=question.origin, answer=answer.model),
        difficulty=question.difficulty,
        recipe=origin.recipe,
        recipe_fingerprint=origin.fingerprint,
        run_id=origin.run,
    )


def persona_label(persona: Persona | None) -> str:
    """Return 'name (role)', the name alone without a role, or an empty string."""
    if persona is None:
        return ""
    return f"{persona.name} ({persona.role})" if persona.role else persona.name


def _source(found: Retrieved, cited: bool) -> Source:
    passage = found.passage
    return Source(
        path=passage.path,
        page=passage.page,
        row=passage.row,
        section=passage.section,
        span=(passage.start, passage.end),
        score=found.score,
        cited=cited,
        passage_id=passage.id,
    )


_SCALARS = {str: "string", int: "int64", float: "float64", bool: "bool"}


def columns(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the types of a row's columns as the `features` of a Hugging Face dataset card.

    A column is `{name, dtype: "string"}`, `{name, struct: [columns]}` or `{name, list: dtype or [columns]}`.
    """
    return [
        {"name": info.serialization_alias or name, **_column_type(info.annotation)}
        for name, info in model.model_fields.items()
    ]


def _column_type(annotation: Any) -> dict[str, Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is UnionType:
        (some,) = (argument for argument in arguments if argument is not NoneType)
        return _column_type(some)
    if origin in (list, tuple):
        (inner,) = {argument: _column_type(argument) for argument in arguments}.values()
        return {"list": inner.get("dtype", inner.get("struct"))}
    if origin is Literal:
        return {"dtype": "string"}
    if annotation in _SCALARS:
        return {"dtype": _SCALARS[annotation]}
    return {"struct": columns(annotation)}


def described(model: type[BaseModel], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Yield (dotted name, description) of every field, those of nested rows after their parent."""
    for name, info in model.model_fields.items():
        written = prefix + (info.serialization_alias or name)
        yield written, info.description or ""
        for inner in (info.annotation, *get_args(info.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from described(inner, f"{written}.")
