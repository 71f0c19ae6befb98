"""What the tests share: a report, a dataset, and a base small enough for tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from qlora_doubles import ReportDouble, conversation, require, tiny_tokenizer


@pytest.fixture
def report() -> ReportDouble:
    return ReportDouble()


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 42 short conversations."""
    path = tmp_path_factory.mktemp("rows") / "dataset.json"
    path.write_text(
        json.dumps([{"messages": conversation(number), "metadata": {}} for number in range(42)], ensure_ascii=False),
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of random weights in a folder whose name has no model's name in it."""
    require()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            initializer_range=0.1,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    path = tmp_path_factory.mktemp("tiny")
    model.to(torch.bfloat16).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
