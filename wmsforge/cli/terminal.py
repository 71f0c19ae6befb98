"""Printing: consoles, figures for people, and text from which nothing reaches the terminal as a command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters (line feed and tab aside) and marks that turn the direction of writing."""


def console(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr. What goes to a pipe is not folded to a terminal's width."""
    from rich.console import Console

    made = Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = 100_000
    return made


def clean(text: str) -> str:
    """Return the text with every character that a terminal would obey replaced by U+FFFD."""
    return _OBEYED.sub("\ufffd", text.replace("\r\n", "\n"))


def as_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON with the same characters escaped: nothing is lost, and it may be shown on a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def amount(count: int, unit: str) -> str:
    """Return `812 rows`, `8.1 k tokens` from 10,000 on, `8.1 M tokens` from a million on; `1 row`."""
    if count >= 999_950:
        return f"{count / 1e6:,.1f} M {unit}"
    if count >= 10_000:
        return f"{count / 1e3:.1f} k {unit}"
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"


def clock(seconds: float) -> str:
    """Return `4.2 s`, `3:07` or `2:03:07`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"
