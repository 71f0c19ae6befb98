"""What the models are asked: the conversation alone, or with the passages that the retriever finds."""

from __future__ import annotations

from collections.abc import Sequence

from wmsforge.records import Passage, Retrieved
from wmsforge_evaluation.rows import HeldOut, Message, Source

WORDS = {
    "ko": ("다음 문서를 바탕으로 질문에 답하세요.", "질문"),
    "en": ("Answer the question from these passages.", "Question"),
}
"""By language: what to do, and the label of the question."""


def with_passages(row: HeldOut, found: Sequence[Retrieved], language: str) -> list[Message]:
    """Return the row's conversation with numbered passages above its last question."""
    task, label = WORDS.get(language, WORDS["en"])
    passages = "\n\n".join(f"[{number}] {one.passage.text}" for number, one in enumerate(found, 1))
    place = max(place for place, turn in enumerate(row.messages) if turn["role"] == "user")
    asked = {"role": "user", "content": f"{task}\n\n{passages}\n\n{label}: {row.question}"}
    return [*row.messages[:place], asked, *row.messages[place + 1 :]]


def hit(row: HeldOut, found: Sequence[Retrieved]) -> bool | None:
    """Tell whether one of the passages is what the reference rests on; None where the row does not say."""
    if not row.sources:
        return None
    return any(_same(source, one.passage) for one in found for source in row.sources)


def _same(source: Source, passage: Passage) -> bool:
    """Tell whether they share text. An index that was cut otherwise has other ids, so then the span decides.

    Spans count within a row of a table and within a page, which are documents of their own.
    """
    if source.passage_id == passage.id:
        return True
    same_document = (source.path, source.row, source.page) == (passage.path, passage.row, passage.page)
    return same_document and passage.start < source.end and source.start < passage.end
