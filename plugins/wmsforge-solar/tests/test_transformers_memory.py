"""How much memory a model needs, and which errors mean that there was too little. Needs torch, not weights."""

from __future__ import annotations

import pytest
from wmsforge_solar.memory import GIB, is_out_of_memory, needed_bytes

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize(
    ("dtype", "nf4", "gib"), [("float32", False, 40.0), ("bfloat16", False, 20.0), ("bfloat16", True, 5.6)]
)
def test_solar_needs_what_the_readme_says(dtype: str, nf4: bool, gib: float) -> None:
    solar = transformers.LlamaConfig(
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=48,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=32000,
    )
    assert needed_bytes(solar, getattr(torch, dtype), nf4=nf4) / GIB == pytest.approx(gib, abs=0.1)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 12 bytes"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (RuntimeError("The size of tensor a (4) must match the size of tensor b (5)"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_only_errors_of_memory_count(error: Exception, full: bool) -> None:
    assert is_out_of_memory(error) == full
