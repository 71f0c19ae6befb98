"""How near an answer is to the reference, and whether passages support it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wmsforge.records import Passage

_CHRF_ORDER = 6
_CHRF_BETA = 2


def chrf(answer: str, reference: str) -> float:
    """Return chrF, 0..1: F2 of the character n-grams of lengths 1 to 6, white space left out.

    Source: Popović (2015), chrF; lengths of which either text has no n-gram are left out, as in sentence_chrf of
    sacrebleu 2.6 (_compute_f_score in metrics/chrf.py), whose numbers a test compares.
    """
    precision = recall = 0.0
    one, other = "".join(answer.split()), "".join(reference.split())
    lengths = range(1, min(_CHRF_ORDER, len(one), len(other)) + 1)
    for length in lengths:
        written, wanted = _ngrams(one, length), _ngrams(other, length)
        same = (written & wanted).total()
        precision += same / written.total() / len(lengths)
        recall += same / wanted.total() / len(lengths)
    if not precision + recall:
        return 0.0
    return (1 + _CHRF_BETA**2) * precision * recall / (_CHRF_BETA**2 * precision + recall)


def rouge_l(answer: Sequence[str], reference: Sequence[str]) -> float:
    """Return ROUGE-L, 0..1: F1 of the longest common subsequence, here of Korean content morphemes.

    Source: Lin (2004), ROUGE.
    """
    if not answer or not reference:
        return 0.0
    common = _common_subsequence(answer, reference)
    return 2 * common / (len(answer) + len(reference))


def groundedness(answer: str, question: str, passages: Sequence[Passage]) -> float | None:
    """Return the mean share of a sentence's content that one place of the passages holds, 0..1.

    None without passages; 0 for an answer that says nothing.
    """
    from wmsforge_korean.grounding import ground

    if not passages:
        return None
    supports = ground(answer, question, passages).supports
    return sum(support.share for support in supports) / len(supports) if supports else 0.0


def _ngrams(text: str, length: int) -> Counter[str]:
    return Counter(text[start : start + length] for start in range(len(text) - length + 1))


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for item in one:
        before = 0
        for place, wanted in enumerate(other, 1):
            kept = row[place]
            row[place] = before + 1 if item == wanted else max(row[place], row[place - 1])
            before = kept
    return row[-1]
