"""Which model is asked at which address, and how it is named in messages."""

from __future__ import annotations

from dataclasses import dataclass, field

QUOTED_CHARS = 300
"""Characters of a server's words that a message repeats at most."""


@dataclass(frozen=True)
class Endpoint:
    """One model behind one address."""

    id: str
    """Id of the recipe's `models:` entry."""
    url: str
    """Where requests are posted to."""
    model: str
    """Name the server knows the model by."""
    key: str = field(default="", repr=False)
    """The API key; never shown."""

    def __str__(self) -> str:
        return f"Model {self.id!r} ({self.model} at {self.url})"

    def quote(self, said: str | bytes) -> str:
        """Return what a server said, cut to `QUOTED_CHARS`, with the key taken out: some servers echo it."""
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        if self.key:
            text = text.replace(self.key, "[api_key]")
        return text if len(text) <= QUOTED_CHARS else f"{text[:QUOTED_CHARS]}..."
