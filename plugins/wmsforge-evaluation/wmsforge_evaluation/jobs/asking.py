"""The job that scores reference answers with one model, and has it write its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, CompressedTensorsConfig

from wmsforge.env.worker import JobError, Report


def ask_all(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Append one JSON line a prompt to the file `out`; those that are there stay.

    A line has id, answer, loss and tokens of the whole reference, and end_loss and end_tokens of what follows its text.

    Args:
        job: model, a folder, GGUF file or hub id, with revision; tokenizer, a folder; prompts, a JSON-lines file of
            id, messages, reference (empty: only answered) and answer (whether to write one); max_tokens; out.
    """
    out = Path(job["out"])
    done = _done(out)
    prompts = [json.loads(line) for line in Path(job["prompts"]).read_text(encoding="utf-8").split("\n") if line]
    left = [prompt for prompt in prompts if prompt["id"] not in done]
    if left:
        tokenizer = AutoTokenizer.from_pretrained(job["tokenizer"])
        model = _load(job["model"], job.get("revision"))
        ends = _ends(model, tokenizer, job["tokenizer"])
        with out.open("a", encoding="utf-8") as file:
            for number, prompt in enumerate(left, len(prompts) - len(left) + 1):
                line = {"id": prompt["id"], **_one(model, tokenizer, ends, prompt, job["max_tokens"])}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                report.progress(number, len(prompts), unit="prompts")
                if report.stop_requested:
                    raise JobError(
                        f"The evaluation was stopped at prompt {number}.\nThe same command goes on from there."
                    )
    return {"prompts": len(prompts), "asked_now": len(left)}


def _done(out: Path) -> set[str]:
    """Return the ids that are answered; a line that a kill cut off is taken away."""
    if not out.exists():
        return set()
    text = out.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        out.write_text(whole, encoding="utf-8")
    return {json.loads(line)["id"] for line in whole.split("\n") if line}


def _load(name: str, revision: str | None) -> Any:
    transformers.utils.logging.disable_progress_bar()
    path = Path(name).expanduser()
    options: dict[str, Any] = {}
    if path.suffix == ".gguf":  # a file, or owner/name/file of the hub
        path, options = path.parent, {"gguf_file": path.name}
    if not path.exists() and revision:
        options["revision"] = revision
    if _is_compressed(path):
        # The servers' arithmetic in higher precision: weights as FP8 holds them, activations rounded to FP8 as well.
        options["quantization_config"] = CompressedTensorsConfig(dequantize=True)
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    # The same weights in both types; a CPU writes in fp32 several times faster than in bf16.
    dtype = torch.bfloat16 if device == "cuda:0" else torch.float32
    try:
        if "gguf_file" in options:
            options["config"] = AutoConfig.from_pretrained(str(path), **options)
        model = AutoModelForCausalLM.from_pretrained(str(path), dtype=dtype, device_map={"": device}, **options)
    except ImportError as error:
        raise JobError(
            f"The model {name!r} cannot be loaded: a package is missing: {error}\n"
            "Leave option env at auto, so that the plugin's own environment is used; or install the package there."
        ) from error
    except (OSError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise JobError(
            f"The model {name!r} cannot be loaded: {type(error).__name__}: {first}\n"
            "Name a folder, a GGUF file or a hub id: options base and model."
        ) from error
    return model.eval()


def _is_compressed(folder: Path) -> bool:
    """Tell whether the folder holds a model in the compressed-tensors format, such as the exporter `fp8` makes."""
    config = folder / "config.json"
    if not config.is_file():
        return False
    quantization = json.loads(config.read_text(encoding="utf-8")).get("quantization_config", {})
    return bool(quantization.get("quant_method") == "compressed-tensors")


def _ends(model: Any, tokenizer: Any, folder: str) -> list[int]:
    """Return what ends an answer: of the model itself, and of the tuned one, whose template both are asked with."""
    tuned = Path(folder, "generation_config.json")
    configured = json.loads(tuned.read_text(encoding="utf-8")).get("eos_token_id") if tuned.exists() else None
    found = [tokenizer.eos_token_id]
    for value in (configured, model.generation_config.eos_token_id):
        found += value if isinstance(value, list) else [value]
    return list(dict.fromkeys(token for token in found if token is not None))


def _one(model: Any, tokenizer: Any, ends: list[int], prompt: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    messages = prompt["messages"]
    asked = _tokens(tokenizer, _render(tokenizer, messages, add_generation_prompt=True))
    told: dict[str, Any] = {"answer": None}
    if prompt["reference"]:
        told |= _score(model, tokenizer, messages, asked, prompt["reference"])
    if prompt["answer"]:
        told["answer"] = tokenizer.decode(_answer(model, asked, ends, max_tokens), skip_special_tokens=True).strip()
    return told


def _score(
    model: Any, tokenizer: Any, messages: Sequence[dict[str, str]], asked: list[int], reference: str
) -> dict[str, Any]:
    """Return the losses of the tokens after the prompt, nats, and of those among them after the reference's text."""
    text = _render(tokenizer, [*messages, {"role": "assistant", "content": reference}])
    whole = _tokens(tokenizer, text)
    start = _common(whole, asked)
    said = text[: len(text) - _end_length(tokenizer, messages, reference, text)]
    end = max(start, _common(whole, _tokens(tokenizer, said)))
    losses = _losses(model, whole, start)
    return {
        "loss": sum(losses),
        "tokens": len(losses),
        "end_loss": sum(losses[end - start :]),
        "end_tokens": len(whole) - end,
    }


def _end_length(tokenizer: Any, messages: Sequence[dict[str, str]], reference: str, text: str) -> int:
    """Return how many characters the template writes after an answer: those that stay when its last word changes."""
    other = reference + ("y" if reference.rstrip().endswith("x") else "x")
    changed = _render(tokenizer, [*messages, {"role": "assistant", "content": other}])
    return _common(text[::-1], changed[::-1])


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return how many items both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _render(tokenizer: Any, messages: Sequence[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    return text


def _tokens(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens


def _losses(model: Any, tokens: list[int], start: int) -> list[float]:
    """Return the losses of the tokens from `start` on, nats."""
    ids = torch.tensor([tokens], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, logits_to_keep=len(tokens) - start + 1).logits[0, :-1].float()
        losses: list[float] = torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="none").tolist()
    return losses


def _answer(model: Any, asked: list[int], ends: list[int], max_tokens: int) -> list[int]:
    ids = torch.tensor([asked], device=model.device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            repetition_penalty=1.0,
            max_new_tokens=max_tokens,
            eos_token_id=ends,
            pad_token_id=ends[0],
        )
    written: list[int] = out[0, len(asked) :].tolist()
    return written
