"""Which model is asked at which address, and how it is named in messages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

QUOTED_CHARS = 300
"""Characters of a server's words that a message repeats at most."""
RAW_CHARS = 20_000
"""Characters of a reply that are kept beside a rejected record at most."""


@dataclass(frozen=True)
class Endpoint:
    """One model behind one address."""

    id: str
    """Id of the recipe's `models:` entry, or of the step where the model is written inline."""
    base_url: str
    """Address of the API, without a slash at its end."""
    path: str
    """What is asked for, below `base_url`: chat/completions or embeddings."""
    model: str
    """Name the server knows the model by."""
    key: str = field(default="", repr=False)
    """The API key; never shown."""

    def __str__(self) -> str:
        return f"Model {self.id!r} ({self.model} at {self.url})"

    @property
    def url(self) -> str:
        """Where requests are posted to."""
        return f"{self.base_url}/{self.path}"

    def quote(self, said: str | bytes) -> str:
        """Return what a server said for a message: cut to `QUOTED_CHARS`."""
        return self._without_key(said, QUOTED_CHARS)

    def raw(self, said: str | bytes) -> str:
        """Return what a server said, to be kept: cut to `RAW_CHARS`."""
        return self._without_key(said, RAW_CHARS)

    def _without_key(self, said: str | bytes, most: int) -> str:
        """Some servers echo the key; it is taken out before the text is cut."""
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        if self.key:
            for written in (self.key, json.dumps(self.key)[1:-1]):
                text = text.replace(written, "[api_key]")
        return text if len(text) <= most else f"{text[:most]}..."
