"""Which rows hang together: those that rest on one document section, or ask the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wmsforge_evaluation.rows import HeldOut


def groups(rows: Sequence[HeldOut]) -> list[list[int]]:
    """Return the numbers of the rows, in groups that share no cited section and no question.

    The same rule as the dataset's split has. A row that names no sources is a group of its own.
    """
    parents = list(range(len(rows)))

    def root(number: int) -> int:
        while parents[number] != number:
            number = parents[number]
        return number

    first: dict[tuple[object, ...], int] = {}
    for number, row in enumerate(rows):
        for key in _keys(row):
            parents[root(number)] = root(first.setdefault(key, number))
    found: dict[int, list[int]] = {}
    for number in range(len(rows)):
        found.setdefault(root(number), []).append(number)
    return list(found.values())


def _keys(row: HeldOut) -> Iterator[tuple[object, ...]]:
    yield "question", " ".join(row.question.split())
    for source in row.sources:
        yield source.part
