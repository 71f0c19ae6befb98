"""QLoRA, merge and FP8 on random weights of SOLAR-10.7B's size, through the engine: seconds, tokens a second, memory.

    python tests/bench/solar_sized.py --preset h100
    python tests/bench/solar_sized.py --preset cpu --hidden 64 --layers 2    # does the bench itself work?

Nothing is fetched: the base is made here (21 GB at full size), the rows come from a mock server. Random weights cost
the same time and memory as real ones; losses mean nothing. Needs wmsforge-retrievers, -korean, -files, -openai, -qlora
and -export, and PyTorch in this Python to make the base. Prints a table and a JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

HOPS = ("adapter", "merged", "fp8")
RECIPE = """\
name: solar-sized
models:
  expert: {use: openai-compatible, base_url: BASE_URL, model: mock}
steps:
  documents: {use: files, path: documents}
  index: {use: bm25, from: documents}
  questions: {use: question-bank, path: questions.csv}
  answers: {use: rag, from: questions, retriever: index, model: expert}
  dataset: {use: messages-json, from: answers, path: dataset.json}
  adapter: {use: qlora, from: dataset, base: base, chat_template: chatml, preset: PRESET, epochs: 1,
            max_length: 1024, env: ENV}
  merged: {use: merge, from: adapter, env: ENV, parity: {kl: 10, perplexity_ratio: 10}}
  fp8: {use: fp8, from: merged, parity: {kl: 10, perplexity_ratio: 10}}
"""


def write_base(folder: Path, hidden: int, layers: int, vocabulary: int) -> int:
    """Save random weights in SOLAR's proportions and a tokenizer of bytes; return the number of parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = ["<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bare = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="</s>", pad_token="<pad>")
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 7 // 2,
        num_hidden_layers=layers,
        num_attention_heads=32 if hidden >= 1024 else 4,
        num_key_value_heads=8 if hidden >= 1024 else 2,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype=torch.bfloat16,
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        torch.set_default_dtype(torch.bfloat16)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


class GpuMemory(threading.Thread):
    """Asks the driver once a second for the memory in use, of the GPU that uses most; GiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0

    def run(self) -> None:
        command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while shutil.which("nvidia-smi"):
            told = subprocess.run(command, capture_output=True, text=True).stdout.split()
            self.peak = max([self.peak, *(int(used) / 1024 for used in told)])
            time.sleep(1)


def run_step(folder: Path, step: str) -> tuple[dict[str, Any], float]:
    """Run the recipe up to a step; return the step's facts and the most GPU memory in use."""
    memory = GpuMemory()
    memory.start()
    subprocess.run([sys.executable, "-m", "wmsforge", "run", "recipe.yaml", "--until", step], cwd=folder, check=True)
    steps = folder / ".wmsforge/solar-sized/steps" / step
    manifest = json.loads((steps / "manifest.json").read_text(encoding="utf-8"))
    return {**manifest["artifact"]["facts"], "step_seconds": manifest["seconds"]}, memory.peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("h100", "h200", "cpu"), default="h100")
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--vocabulary", type=int, default=32_000)
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--env", default="auto", help="of training and merge: auto, cpu, cuda, current")
    arguments = parser.parse_args()

    from mock_openai import subprocess_server

    with tempfile.TemporaryDirectory() as temporary, subprocess_server() as base_url:
        folder = Path(temporary)
        (folder / "documents").mkdir()
        lines = [f"{number}번 센터의 재고 실사는 매월 {number % 28 + 1}일에 합니다." for number in range(64)]
        (folder / "documents/manual.txt").write_text("\n".join(lines), encoding="utf-8")
        asked = [f"{number}번 센터의 실사일은 언제인가요?" for number in range(arguments.rows)]
        (folder / "questions.csv").write_text("question\n" + "\n".join(asked), encoding="utf-8")
        values = {"BASE_URL": base_url, "PRESET": arguments.preset, "ENV": arguments.env}
        recipe = RECIPE
        for name, value in values.items():
            recipe = recipe.replace(name, value)
        (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
        parameters = write_base(folder / "base", arguments.hidden, arguments.layers, arguments.vocabulary)
        figures: dict[str, Any] = {"parameters": parameters, "preset": arguments.preset, "rows": arguments.rows}
        print(f"{parameters / 1e9:.2f} B parameters, preset {arguments.preset}")
        print(f"{'hop':10}{'seconds':>10}{'GPU GiB':>10}")
        for hop in HOPS:
            facts, peak = run_step(folder, hop)
            figures[hop] = {"seconds": round(facts["step_seconds"], 1), "peak_gpu_gib": round(peak, 1)}
            if hop == "adapter":
                figures[hop]["tokens_per_s"] = round(facts["tokens"] / facts["seconds"], 1)
            print(f"{hop:10}{figures[hop]['seconds']:>10.1f}{figures[hop]['peak_gpu_gib']:>10.1f}", flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
