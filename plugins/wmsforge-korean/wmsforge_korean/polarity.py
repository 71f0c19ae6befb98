"""What a Korean sentence affirms and what it denies, predicate by predicate."""

from __future__ import annotations

from functools import lru_cache

from wmsforge_korean.morphemes import kiwi

_NOUNS = ("NNG", "NNP", "NR", "SL", "SN", "SH", "XR")
_PREDICATES = ("VV", "VA", "XSV", "XSA")
_DENIALS = frozenset({"않", "못하", "말"})
_EXISTENCE = frozenset({"있", "없"})


@lru_cache(maxsize=4096)  # all candidate answers to a question meet the same passages
def polarities(text: str) -> dict[str, frozenset[bool]]:
    """Return each predicate's polarities, True where it is denied: '둘 수 없습니다' -> {'두 있': {True}}.

    '있' and '없' are one predicate, told apart by the word before them.
    """
    found: dict[str, set[bool]] = {}
    word, last, denied_ahead = "", "", False
    for token in kiwi().tokenize(text):
        tag = token.tag.split("-")[0]
        if token.form in _DENIALS and tag in ("VX", "VV") and last:
            found[last].discard(False)
            found[last].add(True)
        elif token.form in _EXISTENCE and tag in ("VV", "VA", "VX"):
            last = f"{word} 있"
            found.setdefault(last, set()).add(token.form == "없")
        elif tag in _PREDICATES:
            last = word = f"{word}{token.form}" if tag.startswith("XS") else token.form
            found.setdefault(last, set()).add(denied_ahead)
        elif tag in _NOUNS:
            word = token.form
        denied_ahead = tag == "MAG" and token.form in ("안", "못")
    return {predicate: frozenset(denied) for predicate, denied in found.items()}


def contradicted(sentence: str, source: str) -> str:
    """Return a predicate that one text only affirms and the other only denies, empty when there is none."""
    stated, known = polarities(sentence), polarities(source)
    for predicate, denied in stated.items():
        if len(denied) == 1 and known.get(predicate, denied) == frozenset({True, False}) - denied:
            return predicate
    return ""
