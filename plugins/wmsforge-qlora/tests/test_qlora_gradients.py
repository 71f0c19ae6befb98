"""LoRA gradients over the 4-bit base are those over its dequantised twin, before and after an evaluation."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import conversation, job, require

SIMILAR = 0.98
"""Cosine that every gradient of the 4-bit model has at least to its twin's; the rest is rounding in bf16."""


def tokens(tokenizer: Any) -> Any:
    import torch

    text = "".join(turn["content"] for number in range(6) for turn in conversation(number))
    ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :96]
    assert ids.shape == (1, 96)
    return torch.cat([ids, ids.flip(1)])


def with_adapter(model: Any) -> Any:
    """Add an adapter whose matrices are all random, so that every one of them has a gradient."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def gradients(model: Any, ids: Any) -> dict[str, Any]:
    import torch

    model.train()
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(input_ids=ids, labels=ids).loss.backward()
    return {name: one.grad.float().flatten() for name, one in model.named_parameters() if one.requires_grad}


def evaluate(model: Any, ids: Any) -> None:
    import torch

    model.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        model(input_ids=ids, labels=ids)


def cosines(found: dict[str, Any], right: dict[str, Any]) -> list[float]:
    import torch

    assert found.keys() == right.keys()
    return [float(torch.cosine_similarity(found[name], right[name], dim=0)) for name in found]


def four_bit_and_twin(base: Path, tmp_path: Path, *, guarded: bool) -> tuple[Any, Any, Any]:
    """Return the 4-bit model, its twin in full weights, and tokens for both; both have the same adapter."""
    from wmsforge_qlora.jobs.guard import four_bit_layers
    from wmsforge_qlora.jobs.model import load_base, load_config, load_tokenizer
    from wmsforge_qlora.jobs.settings import Job

    work = Job.of(job(tmp_path / "job", tmp_path, base))
    four_bit = load_base(work, load_config(work))
    assert four_bit_layers(four_bit)
    twin = load_base(work, load_config(work)).dequantize()
    if not guarded:
        for layer in four_bit_layers(four_bit):
            layer.support_avx512bf16_for_cpu = True
    return with_adapter(four_bit), with_adapter(twin), tokens(load_tokenizer(work))


def test_gradients_are_those_of_the_dequantised_twin_before_and_after_an_evaluation(tiny: Path, tmp_path: Path) -> None:
    model, twin, ids = four_bit_and_twin(tiny, tmp_path, guarded=True)
    right = gradients(twin, ids)
    before = cosines(gradients(model, ids), right)
    evaluate(model, ids)
    after = cosines(gradients(model, ids), right)
    assert len(before) == 2 * 7 * 2  # A and B of seven layers in two blocks
    assert min(before) > SIMILAR
    assert min(after) > SIMILAR


def test_without_the_guard_the_gradients_after_an_evaluation_are_wrong(tiny: Path, tmp_path: Path) -> None:
    """If this fails, bitsandbytes has mended it and the guard can go."""
    if not _packs():
        pytest.skip("this CPU has no AVX512-BF16, so bitsandbytes repacks nothing")
    model, twin, ids = four_bit_and_twin(tiny, tmp_path, guarded=False)
    right = gradients(twin, ids)
    evaluate(model, ids)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        after = cosines(gradients(model, ids), right)
    assert min(after) < 0.9


def test_packed_layers_in_train_mode_stop_the_training(tiny: Path, tmp_path: Path) -> None:
    from wmsforge_qlora.jobs.guard import check_layout

    if not _packs():
        pytest.skip("this CPU has no AVX512-BF16, so bitsandbytes repacks nothing")
    model, _, ids = four_bit_and_twin(tiny, tmp_path, guarded=False)
    check_layout(model.train())
    evaluate(model, ids)
    check_layout(model)
    with pytest.raises(RuntimeError, match=r"14 4-bit layers are packed for inference while the model trains"):
        check_layout(model.train())


def test_an_operation_without_gradient_is_an_error(tiny: Path, tmp_path: Path) -> None:
    from wmsforge_qlora.jobs.guard import forbid_missing_gradients

    if not _packs():
        pytest.skip("this CPU has no AVX512-BF16, so bitsandbytes repacks nothing")
    model, _, ids = four_bit_and_twin(tiny, tmp_path, guarded=False)
    evaluate(model, ids)
    with warnings.catch_warnings():
        forbid_missing_gradients()
        with pytest.raises(UserWarning, match="autograd kernel was not registered"):
            gradients(model, ids)


def _packs() -> bool:
    require()
    from bitsandbytes.nn.modules import has_avx512bf16

    return bool(has_avx512bf16())
