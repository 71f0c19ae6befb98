"""Memory: what a model will need, what there is, and what to say when it is not enough."""

from __future__ import annotations

from typing import Any

from wmsforge.errors import StepError

NF4_BYTES = 0.52
"""Of a weight in 4 bits, with its scales quantised too."""
GIB = 2**30
_FULL = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "MPS backend out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether torch could not allocate: on a GPU it has a class of its own, elsewhere only its words."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _FULL)


def out_of_memory(id: str, model: str, what: str, *, at_once: int = 0, quantized: bool) -> StepError:
    """Return the error that says what to change, as settings of the command line.

    Args:
        id: Of the recipe's model: the name of a `models:` entry, or 'step.option-transformers'.
        what: What was being done, and where.
        at_once: Answers that were generated together, 0 while loading.
    """
    where = setting(id)
    ways = []
    if at_once > 1:
        ways.append(f"fewer answers at once: --set {where}.concurrency={max(1, at_once // 2)}")
    if not quantized:
        ways.append(f"weights in 4 bits: --set {where}.quantization=nf4")
    if at_once:
        ways.append("shorter answers or fewer passages: max_tokens and top_k of the step that asks")
    ways.append(f"a smaller model: --set {where}.model=...")
    return StepError(f"Model {id!r} ({model}): out of memory {what}.\nChange one of these: {'; '.join(ways)}")


def setting(id: str) -> str:
    """Return where the recipe sets a model's options: 'models.expert', or 'steps.answers.model' where it is inline."""
    step, _, option = id.partition(".")
    return f"steps.{step}.{option.removesuffix('-transformers')}" if option else f"models.{step}"


def needed_bytes(config: Any, dtype: Any, *, nf4: bool) -> int:
    """Return the bytes that a model's weights will take, computed without them."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config)
    weights: int = sum(parameter.numel() for parameter in empty.parameters())  # tied weights come once
    size: int = dtype.itemsize
    if not nf4:
        return weights * size
    quantized: int = sum(layer.weight.numel() for layer in linear_layers(empty).values())
    return round(quantized * NF4_BYTES + (weights - quantized) * size)


def linear_layers(model: Any) -> dict[str, Any]:
    """Return the layers that 4 bits are for, by name: all linear ones but the head that gives the words."""
    import torch

    head = model.get_output_embeddings()
    return {
        name: layer for name, layer in model.named_modules() if type(layer) is torch.nn.Linear and layer is not head
    }


def free_bytes(device: Any) -> int | None:
    """Return the free memory of a device, None where it cannot be asked."""
    import torch

    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    if device.type == "cpu":
        import psutil

        available: int = psutil.virtual_memory().available
        return available
    return None
