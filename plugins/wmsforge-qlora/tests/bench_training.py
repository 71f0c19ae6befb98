"""Training throughput: the job of `qlora`, and the same training as a bare TRL script, by turns in one run.

    python plugins/wmsforge-qlora/tests/bench_training.py --rows 80 --turns 2

Each training runs in a process of its own, over the same rows, base, adapter shape, batch and steps. Counted are the
tokens that `Trainer.train` reads and the seconds that it takes. The last line printed is one JSON object; `ratio` is
the job's tokens a second over the script's, of the best turn of each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))

from qlora_doubles import ReportDouble, conversation, job


def engine(data: dict[str, Any]) -> dict[str, float]:
    """Train as the engine does."""
    from wmsforge_qlora.jobs.train import train

    facts = train(data, ReportDouble())["facts"]
    return {name: facts[name] for name in ("tokens", "seconds", "steps", "eval_loss")}


def bare(data: dict[str, Any]) -> dict[str, float]:
    """Train as TRL's documentation shows it, with the one line that keeps 4-bit gradients right on such CPUs."""
    from importlib.resources import files

    import torch
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    settings, base = data["settings"], data["base"]["root"]
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = (files("wmsforge_qlora") / "templates" / "gemma.jinja").read_text("utf-8")
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, quantization_config=nf4)
    for layer in model.modules():
        if type(layer).__name__ == "Linear4bit":
            layer.support_avx512bf16_for_cpu = False
    rows = load_dataset("json", data_files={"train": data["rows"], "eval": data["eval_rows"]})
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=data["folder"],
            num_train_epochs=settings["epochs"],
            learning_rate=settings["learning_rate"],
            lr_scheduler_type=settings["scheduler"],
            per_device_train_batch_size=settings["batch_size"],
            per_device_eval_batch_size=settings["batch_size"],
            gradient_accumulation_steps=settings["gradient_accumulation"],
            gradient_checkpointing=settings["activation_checkpointing"],
            optim="adamw_torch",
            max_length=settings["max_length"],
            assistant_only_loss=True,
            eval_strategy="steps",
            eval_steps=settings["eval_every_steps"],
            save_strategy="steps",
            save_steps=settings["eval_every_steps"],
            load_best_model_at_end=True,
            logging_steps=1,
            use_cpu=not torch.cuda.is_available(),
            report_to="tensorboard",
            seed=settings["seed"],
        ),
        train_dataset=rows["train"],
        eval_dataset=rows["eval"],
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=settings["lora_rank"],
            lora_alpha=settings["lora_alpha"],
            lora_dropout=settings["lora_dropout"],
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    out = trainer.train()
    return {
        "tokens": trainer._total_train_tokens,
        "seconds": round(out.metrics["train_runtime"], 1),
        "steps": trainer.state.global_step,
        "eval_loss": trainer.state.best_metric,
    }


def unpacked(base: str, folder: Path) -> str:
    """Return the base as a folder that both can load into 4 bits; the bundled GGUF file is unpacked first."""
    if base != "gemma-3-270m":
        return base
    import torch
    from transformers import AutoModelForCausalLM
    from wmsforge_qlora.jobs.gguf_tokenizer import load_gguf_tokenizer
    from wmsforge_qlora.places import bundled_gguf

    file = bundled_gguf("bench")
    model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.bfloat16, gguf_file=file.name)
    model.hf_quantizer = None
    model.save_pretrained(folder)
    load_gguf_tokenizer(file).save_pretrained(folder)
    return str(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=80, help="rows to train on, in batches of 4")
    parser.add_argument("--turns", type=int, default=2, help="trainings of each kind")
    parser.add_argument("--base", default="gemma-3-270m", help="folder of a base whose template is gemma")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "JOB"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        kind, path = arguments.one
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        print("FOUND " + json.dumps((engine if kind == "engine" else bare)(data)))
        return
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(compare(arguments, Path(name))))


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    base = unpacked(arguments.base, folder / "base")
    files = {"rows": range(arguments.rows), "held_out": range(arguments.rows, arguments.rows + 8)}
    for name, numbers in files.items():
        lines = (json.dumps({"messages": conversation(number)}, ensure_ascii=False) for number in numbers)
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    best: dict[str, dict[str, float]] = {}
    for turn in range(arguments.turns):
        for kind in ("bare", "engine") if turn % 2 == 0 else ("engine", "bare"):
            settings = {"epochs": 1.0, "learning_rate": 2e-4, "eval_every_steps": arguments.rows // 8, "lora_rank": 16}
            data = job(
                folder / f"{kind}{turn}",
                folder / "rows.jsonl",
                Path(base),
                eval_rows=str(folder / "held_out.jsonl"),
                early_stop_patience=0,
                **settings,
            )
            path = folder / f"{kind}{turn}.json"
            path.write_text(json.dumps(data), encoding="utf-8")
            argv = [sys.executable, __file__, "--one", kind, str(path)]
            out = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            found = json.loads(next(line for line in out.splitlines() if line.startswith("FOUND "))[6:])
            found["tokens_per_s"] = round(found["tokens"] / found["seconds"], 2)
            print(f"{kind:7} {found}", flush=True)
            if kind not in best or found["tokens_per_s"] > best[kind]["tokens_per_s"]:
                best[kind] = found
    return {**best, "ratio": round(best["engine"]["tokens_per_s"] / best["bare"]["tokens_per_s"], 3)}


if __name__ == "__main__":
    main()
