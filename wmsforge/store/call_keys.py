"""The keys under which the ledger has its calls: what was asked of whom."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


class CallKeys:
    """The keys of one model's calls.

    Args:
        model: The model's identity, as JSON values.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        identity = json.dumps(model, ensure_ascii=False, sort_keys=True)
        self._begun = hashlib.blake2b(f"{identity}\n".encode(), digest_size=16)

    def key(self, request: str) -> bytes:
        """Return the 16-byte key of a call; `request` is the request as JSON."""
        digest = self._begun.copy()
        digest.update(request.encode())
        return digest.digest()
