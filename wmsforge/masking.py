"""Takes secrets out of texts before anyone sees or keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

SHORTEST = 4
"""Shorter values stay: a local server's key such as `x` is no secret, and every word of a log would lose its x."""
_LOGIN = re.compile(r"""(?<=//)[^/\s"'<>?#]+@""")


class Mask:
    """Puts names in the place of secrets, and `***` in the place of what an address tells of who asks.

    Args:
        secrets: Secret -> what stands in its place.
    """

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._shown = {form: shown for text, shown in (secrets or {}).items() for form in _forms(text)}
        self._pattern = _any_of(form for form in self._shown if len(form) >= SHORTEST)
        self.longest = max(map(len, self._shown), default=0)
        """Characters of the longest secret in the longest way to write it."""

    def __call__(self, text: str) -> str:
        if self._pattern is not None:
            text = self._pattern.sub(lambda match: self._shown[match[0]], text)
        return _LOGIN.sub("***@", text)


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text with what stands in the place of every secret, however short."""
    shown = {form: name for secret, name in secrets.items() for form in _forms(secret)}
    pattern = _any_of(shown)
    return text if pattern is None else pattern.sub(lambda match: shown[match[0]], text)


def _any_of(texts: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds any of the texts, the longest first; None without any."""
    found = sorted(filter(None, texts), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, found))) if found else None


def _forms(text: str) -> set[str]:
    """Return a text as a message may hold it: plain, inside of Python's quotes of either kind, inside of JSON."""
    both_quotes = repr(text + "'\"")[1:-4]
    return {text, repr(text)[1:-1], both_quotes, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
