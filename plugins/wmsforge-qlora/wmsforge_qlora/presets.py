"""Presets: options that a machine is known to take, as defaults. What the recipe writes wins over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # 80 GB: SOLAR-10.7B takes 6 GB in 4 bits; activations are recomputed so that 8 rows of 2048 tokens fit.
    "h100": {
        "batch_size": 8,
        "gradient_accumulation": 2,
        "activation_checkpointing": True,
        "max_length": 2048,
    },
    # 141 GB: the same optimiser steps as on h100, in one batch.
    "h200": {
        "batch_size": 16,
        "gradient_accumulation": 1,
        "activation_checkpointing": True,
        "max_length": 2048,
    },
    # Two cores and a model of some 100 M parameters: small steps, nothing computed twice.
    "cpu": {
        "batch_size": 4,
        "gradient_accumulation": 1,
        "activation_checkpointing": False,
        "max_length": 512,
    },
}
"""The effective batch is 16 rows on both GPUs, as without a preset."""
GPU_GIB: Mapping[str, float] = {"h100": 75, "h200": 135}
"""Memory that a preset counts on, a little under what the driver tells of that GPU (80 and 140)."""


def with_preset(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a recipe with the preset's values for those that it does not write."""
    preset = PRESETS.get(str(written.get("preset")), {})
    return {**preset, **written}
