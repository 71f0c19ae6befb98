"""Killed three times while it trains and once while it merges, a run ends with the same adapter and model.

The base is tiny and random, so that hundreds of steps take seconds; everything else is what a real run has. Needs
PyTorch and the extras of wmsforge-qlora and wmsforge-export in this Python.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mock_openai import subprocess_server
from project import Project

NEEDED = ("bitsandbytes", "peft", "torch", "trl", "wmsforge_export", "wmsforge_qlora")
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")]

RECIPE = """\
name: chain
models:
  expert: {use: openai-compatible, base_url: BASE_URL, model: mock}
steps:
  documents: {use: lines, path: manual.txt}
  index: {use: keyword, from: documents}
  questions: {use: question-bank, path: questions.csv}
  answers: {use: rag, from: questions, retriever: index, model: expert}
  dataset: {use: messages-json, from: answers, path: out/dataset.json, eval_share: 0.2}
  adapter: {use: qlora, from: dataset, base: base, chat_template: chatml, preset: cpu, max_length: 1024, epochs: 12,
            batch_size: 2, learning_rate: 1.0e-3, lora_rank: 4, eval_every_steps: 20, early_stop_patience: 0,
            threads: 1, env: current}
  merged: {use: merge, from: adapter, env: current, parity: {kl: 1, perplexity_ratio: 2, prompts: 4, answers: 2}}
"""
QUESTIONS = 40
KILLS = 3


def write_base(folder: Path) -> None:
    """Save a causal language model of random weights that reads bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = ["<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bare = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="</s>", pad_token="<pad>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.1,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def events(project: Project) -> list[dict[str, Any]]:
    """Return what the runs told so far, a line that is being written left out."""
    files = sorted((project.folder / ".wmsforge/chain/runs").glob("*/events.jsonl"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def kill_when(project: Project, happened: Callable[[], bool]) -> None:
    """Run, and kill it at the moment that something happened."""
    process = project.start("run", "recipe.yaml")
    until = time.monotonic() + 240
    while not happened():
        assert process.poll() is None, project.log()
        assert time.monotonic() < until, project.log()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def weights(project: Project) -> dict[str, str]:
    """Return the digests of all safetensors that the finished steps name."""
    found = {}
    for step in ("adapter", "merged"):
        manifest = json.loads((project.folder / f".wmsforge/chain/steps/{step}/manifest.json").read_text("utf-8"))
        for file in sorted((project.folder / manifest["artifact"]["path"]).rglob("*.safetensors")):
            found[f"{step}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def test_killed_in_training_and_in_the_merge_it_ends_the_same(make_project: Callable[..., Project]) -> None:
    with subprocess_server() as base_url:
        whole, killed = (prepared(make_project(name=name), base_url) for name in ("whole", "killed"))
        beside = whole.start("run", "recipe.yaml")
        die_on_the_way(killed)
        killed.run("run", "recipe.yaml")
        assert beside.wait(timeout=600) == 0, whole.log()
    assert len(weights(whole)) == 2
    assert weights(killed) == weights(whole)


def prepared(project: Project, base_url: str) -> Project:
    questions = [f"{number}번 센터의 점검일은 언제인가요?,현장 담당자" for number in range(QUESTIONS)]
    (project.folder / "questions.csv").write_text("question,persona\n" + "\n".join(questions), encoding="utf-8")
    write_base(project.folder / "base")
    project.write(RECIPE, base_url=base_url)
    return project


def die_on_the_way(project: Project) -> None:
    """Kill three trainings at random steps, each beyond the last, and then the merge."""
    chance = random.Random(7)
    reached = 0
    for _ in range(KILLS):
        reached += chance.randrange(15, 45)
        kill_when(project, lambda least=reached: training_step(project) >= least)  # type: ignore[misc]
    kill_when(project, lambda: bool(progress(project, "merged")))


def training_step(project: Project) -> int:
    return max(progress(project, "adapter"), default=0)


def progress(project: Project, step: str) -> list[int]:
    return [event["done"] for event in events(project) if event["event"] == "progress" and event["step"] == step]
