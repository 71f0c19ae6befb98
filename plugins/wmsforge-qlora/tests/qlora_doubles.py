"""Rows about a warehouse, a small tokenizer, jobs as the host writes them, and a double of the report."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NEEDED = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets", "tensorboard")


def require(*more: str) -> None:
    """Skip where the packages of the extra `train` are not installed."""
    missing = [package for package in (*NEEDED, *more) if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; pip install 'wmsforge-qlora[train]'")


@dataclass
class ReportDouble:
    """A `wmsforge.env.worker.Report` that keeps what it is told.

    `at_step` is called with each finished step, to look or to kill.
    """

    stop_requested: bool = False
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    at_step: Callable[[int], None] = lambda step: None

    def progress(self, done: int, total: int, unit: str = "steps", **facts: Any) -> None:
        self.steps.append({"done": done, "total": total, "unit": unit, **facts})
        self.at_step(done)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


PLACES = ["A동", "B동", "C동", "냉장 구역", "반품 구역", "출고장"]
TASKS = ["입고", "적치", "피킹", "포장", "출고", "실사", "반품"]


def conversation(number: int) -> list[dict[str, str]]:
    place, task = PLACES[number % len(PLACES)], TASKS[number % len(TASKS)]
    return [
        {"role": "user", "content": f"{place}에서 {task} 작업은 어떻게 하나요?"},
        {"role": "assistant", "content": f"{place}의 {task} 작업은 바코드를 스캔하고 수량을 확인한 뒤 시작합니다."},
    ]


def tiny_tokenizer() -> Any:
    """A byte-level tokenizer of 600 tokens with Gemma's special tokens and no chat template, as of a base model."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    texts = [turn["content"] for number in range(42) for turn in conversation(number)]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bare.train_from_iterator([*texts, "user model ### User: ### Assistant:"], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"]})
    return tokenizer


SETTINGS: dict[str, Any] = {
    "resume": "weights",
    "backend": "trl",
    "epochs": 2.0,
    "learning_rate": 1e-2,
    "warmup_share": 0.0,
    "scheduler": "cosine",
    "batch_size": 4,
    "gradient_accumulation": 1,
    "activation_checkpointing": False,
    "packing": False,
    "max_length": 256,
    "truncate": False,
    "rejected_share": 0.0,
    "lora_rank": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "lora_targets": "all-linear",
    "quantization": "nf4",
    "eval_share": 0.2,
    "early_stop_patience": 2,
    "eval_every_steps": 4,
    "seed": 7,
    "chat_template": "gemma",
    "threads": None,
    "devices": 1,
    "tracker": "none",
}


def place(path: Path | str, identity: str = "sha256:test") -> dict[str, Any]:
    return {"root": str(path), "inner": "", "local": True, "revision": None, "name": str(path), "identity": identity}


def job(folder: Path, rows: Path, base: Path, **settings: Any) -> dict[str, Any]:
    """A job's JSON object as the host writes it. `resume_from` and `eval_rows` may be given beside the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "step": "tuned",
        "folder": str(folder),
        "rows": str(rows),
        "eval_rows": settings.pop("eval_rows", None),
        "base": place(base),
        "resume_from": settings.pop("resume_from", None),
        "preset_set": settings.pop("preset_set", {}),
        "settings": {**SETTINGS, **settings},
    }
