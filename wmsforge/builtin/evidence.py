"""Narrows passages to the sentences that bear on a question, without a model.

A small model answers well from two or three sentences and poorly from three passages of 500
characters; short prompts are also several times faster on a CPU. Words are compared by character
bigrams, which see through Korean particles and endings, weighted by how rare they are among the
passages at hand.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wmsforge.builtin.sentences import split_sentences
from wmsforge.records import Passage

_WORDS = re.compile(r"[가-힣]+|[a-z]+|\d+(?:[.,]\d+)*")
_RANK_DISCOUNT = 0.15
"""What a passage loses for each place it stands behind the first of the retriever."""


@dataclass(frozen=True)
class Evidence:
    """The sentences of one passage that bear on the question, in the order of the passage."""

    passage: int
    """Index of the passage."""
    sentences: tuple[str, ...]


def find_evidence(question: str, passages: Sequence[Passage], sentences: int) -> list[Evidence]:
    """Return the best `sentences` sentences of each passage, the passage that covers the question best first."""
    asked = bigrams(question)
    split = [[(text, bigrams(text)) for text in _prose(passage.text)] for passage in passages]
    weights = _weights(asked, [found for texts in split for _, found in texts])
    ranked = []
    for index, (passage, texts) in enumerate(zip(passages, split, strict=True)):
        if not texts:
            continue
        known = bigrams(f"{passage.title} {passage.section}").union(*(found for _, found in texts))
        coverage = _weight(weights, asked & known) / (1 + _RANK_DISCOUNT * index)
        order = sorted(range(len(texts)), key=lambda n: (-_weight(weights, asked & texts[n][1]), n))
        best = tuple(texts[n][0] for n in sorted(order[:sentences]))
        ranked.append((coverage, Evidence(index, best)))
    return [evidence for _, evidence in sorted(ranked, key=lambda pair: -pair[0])]


def bigrams(text: str) -> frozenset[str]:
    """Return the character bigrams of Korean words, and whole numbers and Latin words, lower case."""
    found: set[str] = set()
    for word in _WORDS.findall(text.lower()):
        if len(word) > 1 and "가" <= word[0] <= "힣":
            found.update(word[start : start + 2] for start in range(len(word) - 1))
        else:
            found.add(word)
    return frozenset(found)


def _prose(text: str) -> list[str]:
    """Return the sentences, without headings and table rows: a row says nothing without its header."""
    lines = [line for line in text.splitlines() if "|" not in line and not line.lstrip().startswith("#")]
    return split_sentences("\n".join(lines)) or split_sentences(text)


def _weights(asked: frozenset[str], sentences: Sequence[frozenset[str]]) -> dict[str, float]:
    """Return the BM25 inverse document frequency of each asked bigram, a sentence being a document."""
    seen = Counter(bigram for sentence in sentences for bigram in asked & sentence)
    total = len(sentences)
    return {bigram: math.log(1 + (total - seen[bigram] + 0.5) / (seen[bigram] + 0.5)) for bigram in asked}


def _weight(weights: dict[str, float], bigrams: Iterable[str]) -> float:
    return sum(weights[bigram] for bigram in sorted(bigrams))
