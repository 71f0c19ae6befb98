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
from collections.abc import Sequence
from dataclasses import dataclass

from wmsforge.builtin.sentences import split_sentences
from wmsforge.records import Passage

_WORDS = re.compile(r"[가-힣]+|[a-z]+|\d+(?:[.,]\d+)*")
_LABEL = re.compile(r"^[^\s:]{1,12}: ")
_ASKS_QUANTITY = re.compile(
    r"몇|얼마|며칠|언제|기간|시간|비용|금액|횟수|자주|how (?:many|much|long|often|soon)|when", re.I
)
_DIGIT = re.compile(r"\d")

# What a sentence gains or loses beside the share of the question's bigrams that it holds, 0..1.
_HEADING_WEIGHT = 0.5
_RANK_DISCOUNT = 0.05
_PLACE_DISCOUNT = 0.02
_QUANTITY_BONUS = 0.15


@dataclass(frozen=True)
class Evidence:
    """The sentences of one passage that bear on the question, in the order of the passage."""

    passage: int
    """Index of the passage."""
    sentences: tuple[str, ...]


def find_evidence(question: str, passages: Sequence[Passage], sentences: int) -> list[Evidence]:
    """Return the best `sentences` sentences of each passage, the most promising passage first.

    A sentence counts by the question's bigrams that it and the headings above it hold, more when
    the question asks for a quantity and it states one, less the later it stands and the lower the
    retriever ranked its passage: authors open with what matters.
    """
    asked = bigrams(question)
    split = [_prose(passage) for passage in passages]
    found = [[bigrams(text) for text in texts] for texts in split]
    weights = _weights(asked, [held for passage in found for held in passage])
    wants_quantity = bool(_ASKS_QUANTITY.search(question))
    ranked = []
    for index, (passage, texts) in enumerate(zip(passages, split, strict=True)):
        above = _HEADING_WEIGHT * _share(weights, asked & bigrams(f"{passage.title} {passage.section}"))
        scores = []
        for place, text in enumerate(texts):
            bonus = _QUANTITY_BONUS if wants_quantity and _DIGIT.search(text) else 0.0
            held = _share(weights, asked & found[index][place])
            scores.append(held + above + bonus - _PLACE_DISCOUNT * place - _RANK_DISCOUNT * index)
        if scores:
            order = sorted(range(len(texts)), key=lambda place: (-scores[place], place))
            best = tuple(texts[place] for place in sorted(order[:sentences]))
            ranked.append((max(scores), Evidence(index, best)))
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


def _prose(passage: Passage) -> list[str]:
    """Return the sentences that state something: no headings, table rows, labels of fields or questions."""
    lines = [line for line in passage.text.splitlines() if "|" not in line]
    if passage.row is not None:
        lines = [_LABEL.sub("", line) for line in lines]
    texts = split_sentences("\n".join(lines))
    return [text for text in texts if text.endswith((".", "!"))] or texts


def _weights(asked: frozenset[str], sentences: Sequence[frozenset[str]]) -> dict[str, float]:
    """Return the BM25 inverse document frequency of each asked bigram that occurs, a sentence being a document."""
    seen = Counter(bigram for sentence in sentences for bigram in asked & sentence)
    total = len(sentences)
    return {bigram: math.log(1 + (total - count + 0.5) / (count + 0.5)) for bigram, count in seen.items()}


def _share(weights: dict[str, float], held: frozenset[str]) -> float:
    """Return the weighted share of the asked bigrams that are held, 0..1."""
    total = sum(weights.values())
    return sum(weights[bigram] for bigram in sorted(held & weights.keys())) / total if total else 0.0
