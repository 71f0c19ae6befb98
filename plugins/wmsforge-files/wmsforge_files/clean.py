"""Makes decoded text plain: one kind of newline and space, nothing invisible, NFC."""

from __future__ import annotations

import re
import unicodedata

_NEWLINE = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACE = re.compile("[\xa0\u2000-\u200a\u202f\u205f\u3000]")
# Symbol fonts leave a private-use glyph where the page showed a list's bullet.
_BULLET = re.compile("^([ \t]*)[\ue000-\uf8ff](?=[ \t])", re.MULTILINE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # controls, NUL among them
    "\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"  # soft hyphen, zero width, direction marks
    "\ue000-\uf8ff\ufffe\uffff\U000f0000-\U0010ffff]"  # private use, no characters
)


def clean(text: str) -> str:
    r"""Return NFC text with `\n` newlines, plain spaces and no invisible or private-use characters.

    Half a surrogate pair, which no file can hold, becomes U+FFFD.
    """
    text = _NEWLINE.sub("\n", text)
    text = _SPACE.sub(" ", text)
    text = _BULLET.sub(r"\1-", text)
    text = _SURROGATE.sub("\ufffd", text)
    text = _INVISIBLE.sub("", text)
    return unicodedata.normalize("NFC", text)
