"""How `peek` shows one row to a person: a question, an answer with its sources, a document, a dataset's row.

Rows are plain JSON values; their shape tells what they are. All text in them is data and is cleaned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wmsforge.cli.terminal import clean

if TYPE_CHECKING:
    from rich.text import Text

DOCUMENT_CHARS = 600
"""Characters shown of a document; `--json` gives all."""

Row = Mapping[str, Any]
Line = tuple[str, str]
"""Text and its style in rich's words; the text is cleaned when it is printed."""


def row_text(number: int, row: Row, *, passages: bool) -> Text:
    """Return a kept row. `passages` adds the texts of the passages behind an answer."""
    return _text([(f"[{number}] {_id(row)}", "bold cyan"), *record_lines(row, passages)])


def rejected_text(number: int, row: Row, *, passages: bool) -> Text:
    """Return a line of rejected.jsonl: why, then what."""
    lines: list[Line] = [(f"[{number}] {row['id']}", "bold cyan")]
    why = f"{row['reason']}: {row['detail']}" if row.get("detail") else row["reason"]
    lines.append((f"rejected: {why}", "red"))
    if row.get("record"):
        lines += record_lines(row["record"], passages)
    if row.get("raw"):
        lines += [("what came back:", "dim"), *_indented(row["raw"])]
    return _text(lines)


def record_lines(row: Row, passages: bool) -> Iterator[Line]:
    """Yield the lines of a record or of a dataset's row."""
    if "question" in row and "retrieved" in row:
        yield from _answer(row, passages)
    elif "messages" in row:
        yield from _messages(row, passages)
    elif "sha256" in row:
        yield from _document(row)
    elif "origin" in row:
        yield from _question(row)
    else:
        for name, value in row.items():
            yield f"{name}: {value}", ""


def _question(question: Row) -> Iterator[Line]:
    persona = question.get("persona") or {}
    who = " / ".join(filter(None, (persona.get("name"), persona.get("role"))))
    about = filter(None, (who, question.get("topic"), question.get("difficulty"), question.get("origin")))
    yield " - ".join(about), "dim"
    yield f"Q  {question['text']}", "bold"


def _answer(answer: Row, passages: bool) -> Iterator[Line]:
    yield from _question(answer["question"])
    yield f"A  {answer['text']}", ""
    if line := answer.get("source_line"):
        yield f"   {line}", ""
    yield answer.get("model") or "", "dim"
    for index, found in enumerate(answer["retrieved"]):
        passage, cited = found["passage"], index in answer["cited"]
        span = (passage["start"], passage["end"])
        yield from _source(index, {**passage, "span": span, "score": found["score"], "cited": cited})
        if passages:
            yield from _indented(passage["text"], "" if cited else "dim")


def _messages(row: Row, passages: bool) -> Iterator[Line]:
    about = row.get("metadata") or {}
    yield " - ".join(filter(None, map(about.get, ("persona", "topic", "difficulty", "created_at")))), "dim"
    for turn in row["messages"]:
        yield f"{turn['role']}: {turn['content']}", "bold" if turn["role"] == "user" else ""
    for index, source in enumerate(about.get("sources") or ()):
        yield from _source(index, source)
    if passages and about.get("context_used"):
        yield from _indented(about["context_used"], "dim")


def _document(document: Row) -> Iterator[Line]:
    text = document["text"]
    yield f"{_place(document)}  {document.get('title') or ''}".rstrip(), "bold"
    yield from _indented(text[:DOCUMENT_CHARS])
    if len(text) > DOCUMENT_CHARS:
        yield f"   ... {len(text):,} characters in all", "dim"


def _source(index: int, source: Row) -> Iterator[Line]:
    """Yield `*1 manual.md page 3 > Receiving [120:480] 0.842`; the star marks a passage that is cited."""
    start, end = source["span"]
    mark = "*" if source["cited"] else " "
    text = f" {mark}{index + 1} {_place(source)} [{start}:{end}] {source['score']:.3f}"
    yield text, "green" if source["cited"] else "dim"


def _place(source: Row) -> str:
    parts = [source["path"]]
    parts += [f"{name} {source[name]}" for name in ("page", "row") if source.get(name) is not None]
    parts += [f"> {source['section']}"] if source.get("section") else []
    return " ".join(parts)


def _indented(text: str, style: str = "") -> Iterator[Line]:
    for line in text.splitlines():
        yield f"   {line}", style


def _id(row: Row) -> str:
    return str(row.get("id") or (row.get("metadata") or {}).get("id") or "")


def _text(lines: list[Line]) -> Text:
    from rich.text import Text

    return Text("\n").join(Text(clean(line).rstrip(), style) for line, style in lines if line.strip())
