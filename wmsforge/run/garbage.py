"""Fewer passes of Python's cycle collector while a run goes on.

A run makes thousands of small objects a second that live a call long and die by their reference counts. By its
defaults the collector looks through them every 700 new ones, and through all modules with them: a sixth of the
time the engine itself needs at a thousand calls a second.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_OBJECTS = 20_000
"""New objects after which the young ones are looked through; a few megabytes at most wait that long."""
YOUNG_PASSES = 20, 50
"""Passes over one generation before one over the next."""


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Leave alone what is there already, and look through new objects less often; undone at the end."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *YOUNG_PASSES)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
