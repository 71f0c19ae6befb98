"""NF4, the 4 bits of QLoRA: the layers themselves, and full weights rounded as those layers round them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bitsandbytes as bnb
import torch

BLOCK = 64
"""Weights that share one scale; the block of bitsandbytes' 4-bit layers and of transformers' NF4."""


def linear_layers(model: Any) -> Iterator[tuple[str, torch.nn.Linear]]:
    """Yield the layers that a 4-bit base has in 4 bits: all linear ones but the output head."""
    head = model.get_output_embeddings()
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and layer is not head:
            yield name, layer


def round_in_place(model: Any, double_quantization: bool) -> None:
    """Round the weights to NF4 and back, layer by layer: the base that an adapter trained on 4 bits has seen."""
    for _, layer in linear_layers(model):
        packed, state = bnb.functional.quantize_4bit(
            layer.weight.data, blocksize=BLOCK, compress_statistics=double_quantization, quant_type="nf4"
        )
        layer.weight.data.copy_(bnb.functional.dequantize_4bit(packed, state))


def quantize_in_place(model: Any, double_quantization: bool) -> None:
    """Put 4-bit layers in the place of the linear ones; works for models from GGUF files too."""
    for name, layer in list(linear_layers(model)):
        where = layer.weight.device
        with torch.device("meta"):
            new = bnb.nn.Linear4bit(
                layer.in_features, layer.out_features, layer.bias is not None, layer.weight.dtype, quant_type="nf4"
            )
        new.weight = bnb.nn.Params4bit(
            layer.weight.data,
            requires_grad=False,
            quant_type="nf4",
            blocksize=BLOCK,
            compress_statistics=double_quantization,
            module=new,
        )
        new.bias = layer.bias
        model.set_submodule(name, new.to(where))
    model.is_loaded_in_4bit = True  # PEFT chooses its kind of layer by this
    keep_layout(model)


def keep_layout(model: Any) -> None:
    """Keep 4-bit weights as they are stored: bitsandbytes 0.50 repacks them in eval mode on some CPUs for good."""
    for layer in model.modules():
        if isinstance(layer, bnb.nn.Linear4bit):
            layer.support_avx512bf16_for_cpu = False
