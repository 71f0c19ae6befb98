"""A train/eval split in which no document section, and no question, is on both sides.

What an answer says rests on the passages it cites, so two answers that cite one section would show
it to both sides. Answers are joined when they share a cited section; whole groups go to one side.
Passages that were retrieved and not cited do not join: nothing of them is in the answer, and with
a few of them a row nearly all answers hang together. An answer that cites none counts as citing all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from wmsforge.records import Answer, Passage


@dataclass(frozen=True)
class Assignment:
    """Which rows go to eval, and how the rows hang together."""

    eval_rows: frozenset[int]
    """Numbers of the rows, in the order they were added, from 0."""
    groups: int
    largest: int
    """Rows of the largest group."""


class SectionSplit:
    """Groups answers as they come and then shares the groups out.

    Holds two numbers a row and a digest a section. The outcome depends on the seed and the set of
    answers, not on their order.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._nodes: dict[bytes, int] = {}
        self._digests: list[bytes] = []
        self._parents: list[int] = []
        self._rows: list[int] = []

    def add(self, answer: Answer) -> None:
        """Take the next row."""
        first, *others = [self._node(key) for key in _keys(answer)]
        for other in others:
            self._join(first, other)
        self._rows.append(first)

    def assign(self, share: float) -> Assignment:
        """Return whole groups whose rows come as near to `share` (0..0.5) of all rows as they can."""
        sizes: dict[int, int] = {}
        for node in self._rows:
            root = self._root(node)
            sizes[root] = sizes.get(root, 0) + 1
        names = dict.fromkeys(sizes, b"\xff" * 16)
        for node, digest in enumerate(self._digests):
            root = self._root(node)
            names[root] = min(names[root], digest)
        chosen = _choose([(sizes[root], root) for root in sorted(sizes, key=names.__getitem__)], share)
        rows = frozenset(number for number, node in enumerate(self._rows) if self._root(node) in chosen)
        return Assignment(rows, len(sizes), max(sizes.values()))

    def _node(self, key: tuple[object, ...]) -> int:
        text = json.dumps([self._seed, *key], ensure_ascii=False)
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        node = self._nodes.setdefault(digest, len(self._nodes))
        if node == len(self._parents):
            self._parents.append(node)
            self._digests.append(digest)
        return node

    def _root(self, node: int) -> int:
        while self._parents[node] != node:
            self._parents[node] = self._parents[self._parents[node]]
            node = self._parents[node]
        return node

    def _join(self, one: int, other: int) -> None:
        self._parents[self._root(other)] = self._root(one)


def section_of(passage: Passage) -> tuple[object, ...]:
    """Return the smallest named part of a document that holds the passage.

    A table's row or a record, else the section under a heading (it may run over pages), else the
    page, else the whole file.
    """
    if passage.row is not None:
        return passage.path, "row", passage.row
    if passage.section:
        return passage.path, "section", passage.section
    if passage.page is not None:
        return passage.path, "page", passage.page
    return passage.path, "file"


def _keys(answer: Answer) -> Iterator[tuple[object, ...]]:
    yield "question", " ".join(answer.question.text.split())
    indexes = answer.cited or range(len(answer.retrieved))
    for index in indexes:
        yield "section", *section_of(answer.retrieved[index].passage)


def _choose(groups: list[tuple[int, int]], share: float) -> set[int]:
    """Return ids of (size, id) groups: in their order while they fit, then one more if that comes nearer."""
    target = share * sum(size for size, _ in groups)
    chosen: set[int] = set()
    reached = 0
    for size, id in groups:
        if reached + size <= target:
            chosen.add(id)
            reached += size
    left = [(size, id) for size, id in groups if id not in chosen]
    if left:
        size, id = min(left, key=lambda group: group[0])
        if reached + size - target < target - reached:
            chosen.add(id)
    return chosen
