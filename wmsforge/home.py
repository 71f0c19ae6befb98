"""Where wmsforge keeps what all projects of a user share: assembled models, later environments."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return `$WMSFORGE_HOME`, else `~/.cache/wmsforge`."""
    set_by_user = os.environ.get("WMSFORGE_HOME")
    return Path(set_by_user) if set_by_user else Path.home() / ".cache" / "wmsforge"
