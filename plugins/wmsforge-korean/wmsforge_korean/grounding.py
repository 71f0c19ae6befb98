"""How well passages support an answer, and how much both have to do with the question, by words alone.

An answer's sentence is compared with single sentences of a passage, not with the passage as a whole:
a model that goes astray mostly recombines the right words, and a whole passage holds them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from wmsforge.records import Passage
from wmsforge_korean.facts import Fact, facts, missing
from wmsforge_korean.morphemes import morphemes, sentences
from wmsforge_korean.polarity import contradicted

_LIST_MARK = re.compile(r"^\s*(?:[-*+•·▪■◦○●▶※>|]+|#{1,6}|\(?\d{1,2}[.)]|[①-⑳]|[가-하][.)])\s+")
_SAYS_NOTHING = re.compile(
    # light words
    "하|되|있|것|수|등|때|경우|위하|대하|통하|따르|그|저|안|못|더|잘|좀|알|주|보|알리|말|궁금|정도|정확히|대략"
    "|동안|그렇|이렇|맞"
    # question words
    "|어떻|무엇|어떤|어느|왜|언제|뭐|얼마|며칠|몇|누구|누가|어디"
)
_ASKS_FOR_A_FIGURE = re.compile("몇|얼마|며칠")


@dataclass(frozen=True)
class Support:
    """How one sentence of an answer stands to the two neighbouring sentences of a passage that support it best."""

    sentence: str
    share: float
    """Share of its content morphemes found in the two sentences and the headings above them, 0..1."""
    share_of_one: float
    """The same for the best single sentence of that passage."""
    closeness: float
    """Share of its letter trigrams found in the two sentences, 0..1; order counts, 1 is a quotation."""
    evidence: frozenset[str]
    """Content morphemes of the two sentences and the headings."""
    missing: tuple[Fact, ...]
    """Codes and numbers that neither the whole passage nor the question states."""
    contradicted: str = ""
    """A predicate that the sentence affirms and its closest passage sentence denies, or the other way round."""


@dataclass(frozen=True)
class Grounding:
    """How an answer stands to its passages and its question."""

    supports: tuple[Support, ...]
    """One for each sentence that says something."""
    relevance: float
    """Share of the question's content morphemes found in the evidence and in the answer, 0..1, the mean of both."""
    states_figure: bool
    """Whether the answer states a number or a code, or the question does not ask how many or how much."""

    @property
    def score(self) -> float:
        """Groundedness times relevance, 0..1; the README says what the weights were measured on."""
        if not self.supports:
            return 0.0
        share = min(support.share_of_one for support in self.supports)
        closeness = sum(support.closeness for support in self.supports) / len(self.supports)
        groundedness = share * (0.5 + 0.5 * closeness)
        return groundedness * (0.5 + 0.5 * self.relevance) * (1.0 if self.states_figure else 0.5)


def ground(answer: str, question: str, passages: Sequence[Passage]) -> Grounding:
    """Compare an answer with the passages that were given to the model, at least one."""
    sources = [_source(passage.text, f"{passage.title}\n{passage.section}") for passage in passages]
    known = facts(question)
    supports = tuple(_support(sentence, sources, known) for sentence in _sentences(answer) if _content(sentence))
    asked = _content(question)
    evidence = frozenset[str]().union(*(support.evidence for support in supports))
    return Grounding(
        supports,
        relevance=(_share(asked, evidence) + _share(asked, frozenset(_content(answer)))) / 2,
        states_figure=not _ASKS_FOR_A_FIGURE.search(question) or bool(facts(answer, one=True)),
    )


@dataclass(frozen=True)
class _Source:
    """A passage taken apart; morphemes include those of the headings."""

    texts: tuple[str, ...]
    """Its sentences."""
    singles: tuple[frozenset[str], ...]
    """Of each sentence."""
    pairs: tuple[frozenset[str], ...]
    """Of each two neighbouring sentences; of the only one where there is one."""
    trigrams: tuple[frozenset[str], ...]
    """Of each pair's letters."""
    facts: tuple[Fact, ...]


@lru_cache(maxsize=4096)  # all candidate answers to a question meet the same passages
def _source(text: str, headings: str) -> _Source:
    split = _sentences(text) or [text]
    above = frozenset(_content(headings))
    singles = [above.union(_content(sentence)) for sentence in split]
    starts = range(max(1, len(split) - 1))
    return _Source(
        texts=tuple(split),
        singles=tuple(singles),
        pairs=tuple(frozenset[str]().union(*singles[start : start + 2]) for start in starts),
        trigrams=tuple(_trigrams(" ".join(split[start : start + 2])) for start in starts),
        facts=(*facts(headings), *facts(text, one=True)),
    )


def _support(sentence: str, sources: Iterable[_Source], known: Sequence[Fact]) -> Support:
    content, stated, trigrams = _content(sentence), facts(sentence), _trigrams(sentence)
    found = []
    for source in sources:
        shares = [_share(content, one) for one in source.singles]
        closest = source.texts[shares.index(max(shares))]
        lacking = tuple(missing(stated, [*source.facts, *known]))
        for pair, letters in zip(source.pairs, source.trigrams, strict=True):
            support = Support(sentence, _share(content, pair), max(shares), _share(trigrams, letters), pair, lacking)
            found.append((support, closest))
    best, closest = max(found, key=lambda pair: (pair[0].share, not pair[0].missing, pair[0].closeness))
    return replace(best, contradicted=contradicted(sentence, closest))


def _sentences(text: str) -> list[str]:
    """Return the sentences line by line, without list marks; Kiwi alone would join the lines of a list."""
    lines = [_LIST_MARK.sub("", line) for line in text.splitlines()]
    return [line[start:end] for line in lines for start, end in sentences(line)]


def _content(text: str) -> list[str]:
    return [morpheme for morpheme in morphemes(text) if not _SAYS_NOTHING.fullmatch(morpheme)]


def _trigrams(text: str) -> frozenset[str]:
    letters = re.sub(r"\W", "", text)
    return frozenset(letters[start : start + 3] for start in range(len(letters) - 2))


def _share(parts: Sequence[str] | frozenset[str], whole: frozenset[str]) -> float:
    return sum(part in whole for part in parts) / len(parts) if parts else 1.0
