"""What is to be loaded, as the recipe has it; known without torch."""

from __future__ import annotations

from dataclasses import dataclass

from wmsforge_solar.weights import Place


@dataclass(frozen=True)
class Wanted:
    """One model."""

    id: str
    """Of the recipe's model, for messages."""
    name: str
    """The model as the recipe writes it."""
    model: Place
    revision: str | None
    adapter: Place | None
    adapter_revision: str | None
    nf4: bool
    dtype: str
    """'auto', 'bfloat16', 'float16' or 'float32'."""
    device: str
    """'auto' or a device of torch."""
