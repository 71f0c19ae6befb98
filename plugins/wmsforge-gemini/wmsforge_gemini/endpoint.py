"""Which model is asked, how it is named in messages, and how the key stays out of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

QUOTED_CHARS = 300
"""Characters of the server's words that a message repeats at most."""
KEPT_CHARS = 20_000
"""Characters of a reply that are kept beside a rejected record at most."""


@dataclass(frozen=True)
class Endpoint:
    """One Gemini model behind one key."""

    id: str
    """Id of the recipe's `models:` entry."""
    model: str
    """Google's name of the model."""
    base_url: str
    key: str = field(default="", repr=False)
    """The API key; never shown."""

    def __str__(self) -> str:
        return f"Model {self.id!r} ({self.model})"

    def hide(self, text: str) -> str:
        """Return a text with the key taken out: some servers echo it."""
        return text.replace(self.key, "[api_key]") if self.key else text

    def quote(self, said: object) -> str:
        """Return what a server said for a message: without the key, then cut to `QUOTED_CHARS`."""
        return _cut(self.hide(_text(said)), QUOTED_CHARS)

    def keep(self, said: object) -> str:
        """Return what a server sent as an error's `raw`: without the key, then cut to `KEPT_CHARS`."""
        return _cut(self.hide(_text(said)), KEPT_CHARS)


def _text(said: Any) -> str:
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, default=str)


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}..."
