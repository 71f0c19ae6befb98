"""Guards against wrong gradients that nobody would notice: the loss still falls, only less.

bitsandbytes 0.50 repacks 4-bit layers for CPUs with AVX512-BF16 at their first call in eval mode. It never unpacks
them for training, and their kernel then has no gradient. A LoRA adapter trained after an evaluation gets gradients
whose cosine to the right ones is 0.1. The only sign is a UserWarning.
"""

from __future__ import annotations

import warnings
from typing import Any

NO_GRADIENT = r".*an autograd kernel was not registered.*"


def keep_layout(model: Any) -> int:
    """Keep the 4-bit layers of a model as they are stored; return how many there are. Call it right after loading."""
    layers = four_bit_layers(model)
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    return len(layers)


def four_bit_layers(model: Any) -> list[Any]:
    from bitsandbytes.nn import Linear4bit

    return [layer for layer in model.modules() if isinstance(layer, Linear4bit)]


def check_layout(model: Any) -> None:
    """Make sure that every 4-bit layer of a model in train mode has a gradient.

    Raises:
        RuntimeError: If one is packed for inference.
    """
    packed = [
        layer for layer in four_bit_layers(model) if getattr(layer.weight.quant_state, "packing_format_for_cpu", False)
    ]
    if packed and model.training:
        raise RuntimeError(
            f"{len(packed)} 4-bit layers are packed for inference while the model trains: their gradients are wrong. "
            "Something evaluated the model before keep_layout was called on it."
        )


def forbid_missing_gradients() -> None:
    """Make the warning an error that an operation without a gradient is differentiated."""
    warnings.filterwarnings("error", message=NO_GRADIENT, category=UserWarning)
