"""How near an answer is to the reference, and whether passages support it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wmsforge.records import Passage

_CHRF_ORDER = 6
_CHRF_BETA = 2


def chrf(answer: str, reference: str) -> float:
    """Return chrF, 0..1: F2 of the character n-grams of lengths 1 to 6, white space left out.

    Source: Popović (2015), chrF; lengths of which neither text has an n-gram are left out, as in sacrebleu.
    """
    precisions, recalls = [], []
    one, other = "".join(answer.split()), "".join(reference.split())
    for order in range(1, _CHRF_ORDER + 1):
        written, wanted = _ngrams(one, order), _ngrams(other, order)
        if not written and not wanted:
            continue
        same = (written & wanted).total()
        precisions.append(same / written.total() if written else 0.0)
        recalls.append(same / wanted.total() if wanted else 0.0)
    if not precisions:
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
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


def _ngrams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    row = [0] * (len(other) + 1)
    for item in one:
        before = 0
        for place, wanted in enumerate(other, 1):
            kept = row[place]
            row[place] = before + 1 if item == wanted else max(row[place], row[place - 1])
            before = kept
    return row[-1]
