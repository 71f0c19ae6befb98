"""What the models are asked: the question alone, or with the passages that the retriever finds."""

from __future__ import annotations

from collections.abc import Sequence

from wmsforge.records import Retrieved
from wmsforge_evaluation.rows import HeldOut

WORDS = {
    "ko": ("다음 문서를 바탕으로 질문에 답하세요.", "질문"),
    "en": ("Answer the question from these passages.", "Question"),
}
"""By language: what to do, and the label of the question."""

Message = dict[str, str]


def plain(row: HeldOut) -> list[Message]:
    """Return the conversation up to the answer, as the model was trained to read it."""
    return _with_system(row, row.question)


def with_passages(row: HeldOut, found: Sequence[Retrieved], language: str) -> list[Message]:
    """Return the same conversation with numbered passages above the question."""
    task, label = WORDS.get(language, WORDS["en"])
    passages = "\n\n".join(f"[{number}] {one.passage.text}" for number, one in enumerate(found, 1))
    return _with_system(row, f"{task}\n\n{passages}\n\n{label}: {row.question}")


def hit(row: HeldOut, found: Sequence[Retrieved]) -> bool | None:
    """Tell whether one of the passages overlaps what the reference rests on; None where the row does not say."""
    if not row.sources:
        return None
    return any(
        one.passage.path == source.path and one.passage.start < source.end and source.start < one.passage.end
        for one in found
        for source in row.sources
    )


def _with_system(row: HeldOut, question: str) -> list[Message]:
    system = [{"role": "system", "content": row.system}] if row.system else []
    return [*system, {"role": "user", "content": question}]
