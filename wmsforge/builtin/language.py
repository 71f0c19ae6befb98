"""Drops text that is not in the recipe's language, leaks another script, or came out of a wrong decoding."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

from pydantic import Field

from wmsforge import options
from wmsforge.errors import StepError
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop

SCRIPTS = {"ko": "HANGUL", "en": "LATIN"}
"""Languages that can be judged: those that put blanks between words, and their script."""

_TECHNICAL = re.compile(
    r"https?://\S+|`[^`\n]*`"  # addresses, inline code
    r"|[A-Za-z0-9_./:@-]*\d[A-Za-z0-9_./:@-]*"  # E-4012, A-01-02, 4.2
    r"|\b[A-Z][A-Z&/-]+s?\b"  # WMS, SKUs, R&D
)
_HANJA_GLOSS = re.compile(r"(?<=[가-힣])\s?[(（][\u3400-\u9fff\uf900-\ufaff·,\s]+[)）]")
_WORD = re.compile(r"[^\W\d_]+")
_MARKS_OF_WRONG_DECODING = {
    "the replacement character": re.compile("\ufffd+"),
    "UTF-8 read as Latin-1": re.compile(r"[ÂÃâêëìí][\x80-\xbfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]"),
    "CP949 read as Latin-1": re.compile(r"[\xa1-\xfe]{4,}"),
    "U+FFFD read as CP949": re.compile("占쏙|쏙옙"),
    "letters lost to '?'": re.compile(r"(?:\?{2,}[\s.,]*){3,}"),
    "Hangul fallen apart": re.compile(r"[ㄱ-ㅎㅏ-ㅣ]{4,}|[\u1100-\u11ff]{2,}"),
    "private use characters": re.compile("[\ue000-\uf8ff]"),
}
_UNUSUAL_SHARE = 0.1  # of the Hangul; real Korean text stays under 0.01, UTF-8 read as CP949 is near 0.4


class LanguageFilter(Filter):
    """Keeps text whose words are in the recipe's language.

    Latin words count against Korean, but codes (E-4012), abbreviations in capitals (WMS, SKU), web
    addresses and inline code do not. Hanja in brackets after Hangul and single Hanja or Greek
    letters, as in units, are no leak.
    """

    class Options(options.Options):
        min_share: float = Field(
            default=0.5,
            ge=0,
            le=1,
            description="Share of words, 0..1, that must be in the script of the recipe's language; codes, "
            "abbreviations and addresses are not counted.",
        )
        max_foreign_letters: int = Field(
            default=0,
            ge=0,
            description="Letters of a third script (kana, hanja words, Cyrillic, Thai, Arabic ...) that are let pass.",
        )

    options: Options

    async def open(self) -> None:
        if self.context.language not in SCRIPTS:
            raise StepError(
                f"Step {self.context.step!r}: filter 'language' was asked to judge {self.context.language!r}; "
                f"it knows {', '.join(SCRIPTS)}.\nLeave it out of this recipe, or use a plugin that knows the language."
            )

    def check(self, record: Item) -> Verdict:
        text = record.text
        for what, pattern in _MARKS_OF_WRONG_DECODING.items():
            if found := pattern.search(text):
                return drop("mojibake", f"{what}: {found[0][:20]!r} at character {found.start()}")
        if (share := _unusual_hangul(text)) > _UNUSUAL_SHARE:
            return drop("mojibake", f"UTF-8 read as CP949: {share:.0%} of the syllables are not in use")
        own = SCRIPTS[self.context.language]
        leaks = list(_leaks(_HANJA_GLOSS.sub("", text), own))
        if sum(map(len, leaks)) > self.options.max_foreign_letters:
            return drop("foreign_script", f"{sum(map(len, leaks))} foreign letters: {', '.join(leaks[:3])}")
        words = _WORD.findall(_TECHNICAL.sub(" ", text))
        ours = sum(any(_script(letter) == own for letter in word) for word in words)
        if words and ours / len(words) < self.options.min_share:
            return drop(
                "wrong_language",
                f"{ours / len(words):.0%} of {len(words)} words, at least {self.options.min_share:.0%}",
            )
        return KEEP


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """Return the first word of the letter's Unicode name: HANGUL, LATIN, CJK, HIRAGANA, CYRILLIC ..."""
    return unicodedata.name(letter, "?").split("-")[0].split()[0]


def _leaks(text: str, own: str) -> Iterator[str]:
    """Yield the runs of letters of a third script; single Hanja and Greek letters are symbols."""
    ignored = {own, "LATIN", "FULLWIDTH", "MICRO", "OHM", "ANGSTROM", "MODIFIER", "MASCULINE", "FEMININE"}
    for script, run in groupby(text, lambda letter: _script(letter) if letter.isalpha() else ""):
        letters = "".join(run)
        if script and script not in ignored and not (script in ("CJK", "GREEK") and len(letters) == 1):
            yield letters


def _unusual_hangul(text: str) -> float:
    """Return the share of Hangul syllables outside KS X 1001, the 2,350 that Korean text uses."""
    syllables = [letter for letter in text if "가" <= letter <= "힣"]
    if len(syllables) < 4:
        return 0.0
    # The codec spells other syllables out in eight bytes.
    return sum(len(letter.encode("euc_kr")) > 2 for letter in syllables) / len(syllables)
