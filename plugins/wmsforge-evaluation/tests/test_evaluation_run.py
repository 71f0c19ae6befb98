"""The whole evaluation on two tiny random models, one of which has seen the answers."""
# ruff: noqa: E402  # nothing is imported where torch is missing

import importlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("kiwipiepy")  # of wmsforge-korean

from wmsforge_evaluation.two_by_two import TwoByTwo

from wmsforge.env.worker import JobError
from wmsforge.errors import StepError
from wmsforge.records import Artifact, Passage, Retrieved
from wmsforge.testing import LocalContext

TEMPLATE = (
    "{% for m in messages %}<turn>{{ m.role }}\n{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
TEXTS = [
    ("크로스도킹이 뭔가요?", "입고된 상품을 보관하지 않고 바로 출고하는 방식입니다."),
    ("재고 실사는 얼마나 자주 하나요?", "순환 실사는 매주,\u2028전체 실사는 분기마다 합니다."),
    ("반품은 어디로 보내나요?", "반품 구역에서 검수한 뒤 등급을 나눕니다."),
    ("피킹 오류를 줄이려면?", "바코드를 두 번 확인하고 구역별로 피킹합니다."),
]


@dataclass
class Told:
    stop_requested: bool = False
    steps: list[int] = field(default_factory=list)

    def progress(self, done, total, unit="steps", **facts):
        self.steps.append(done)


@dataclass
class InProcess:
    report: Told = field(default_factory=Told)

    async def run(self, target, job, *, on_progress=None, out_of_memory=""):
        module, _, name = target.partition(":")
        return getattr(importlib.import_module(module), name)(json.loads(json.dumps(job)), self.report)


@dataclass
class Context(LocalContext):
    running: InProcess = field(default_factory=InProcess)

    async def environment(self, name: str, env: Any) -> InProcess:
        return self.running


class Everything:
    """A retriever that knows the answer to every question."""

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        text = dict(TEXTS)[query]
        passage = Passage(id="0" * 16, document_id="1" * 16, path="manual.txt", text=text, start=0, end=len(text))
        return [Retrieved(passage=passage, score=1.0)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A base, and the same trained on the answers."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers import models as kinds
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bare = Tokenizer(kinds.BPE())
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    special = ["<pad>", "<end>", "<turn>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator([text for pair in TEXTS for text in pair], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, eos_token="<end>", pad_token="<pad>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2
    )
    config.eos_token_id, config.bos_token_id = 1, None
    model = LlamaForCausalLM(config)
    folders = [tmp_path_factory.mktemp(name) for name in ("base", "tuned")]
    for folder in folders:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(25):
            for question, answer in TEXTS:
                turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
                text = tokenizer.apply_chat_template(turns, tokenize=False)
                tokens = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
                model(input_ids=tokens, labels=tokens).loss.backward()
                optimizer.step()
                optimizer.zero_grad()
    return folders


@pytest.fixture
def subject(models, tmp_path):
    rows = [
        {
            "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            "metadata": {"sources": [{"path": "manual.txt", "section": question, "span": [0, 5], "cited": True}]},
        }
        for question, answer in TEXTS
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    facts = {"base": str(models[0]), "eval_path": str(path)}
    return Artifact(kind="model", path=str(models[1]), facts=facts)


def evaluator(tmp_path, **options):
    context = Context(tmp_path / "step", {"index": Everything()}, step="report")
    options = {"retriever": "index", "answered": 2, "max_tokens": 40, "samples": 100, **options}
    return TwoByTwo(TwoByTwo.Options(**options), context)


async def test_the_tuned_model_is_better_and_the_report_shows_it(subject, tmp_path):
    component = evaluator(tmp_path)
    report = await component.evaluate(subject)
    facts = report.facts
    value, low, high = facts["loss_drop"]
    assert 0.25 < low <= value <= high < 1
    assert facts["tuned"]["loss"][0] < facts["base"]["loss"][0]
    assert facts["tuned"]["chrf"][0] > 0.9, "it has learned these answers by heart"
    assert facts["tuned"]["rouge_l"][0] > facts["base"]["rouge_l"][0]
    assert facts["hit_rate"] == [1.0, 1.0, 1.0]
    assert (facts["rows"], facts["groups"], facts["answered"]) == (4, 4, 2)
    assert facts["tuned"]["end_loss"][0] < facts["base"]["end_loss"][0]
    page = Path(report.path).read_text(encoding="utf-8")  # noqa: ASYNC240
    shown = [question for question, _ in TEXTS if f"<h3 lang='ko'>{question}</h3>" in page]
    assert shown == [TEXTS[0][0], TEXTS[2][0]], "the answered rows are spread over all"
    assert page.count(f"<h3 lang='ko'>{TEXTS[0][0]}</h3>") == 2, "asked by itself, and among the rows"
    assert json.loads((component.context.folder / "report.json").read_text())["loss_drop"] == facts["loss_drop"]


async def test_answers_that_are_there_are_not_asked_again(subject, tmp_path):
    component = evaluator(tmp_path)
    first = await component.evaluate(subject)
    for answers in component.context.folder.glob("*.answers.jsonl"):  # as a kill in the middle of a line leaves it
        text = answers.read_text(encoding="utf-8")
        answers.write_text(text[: len(text) - 20], encoding="utf-8")
    component.context.running.report.steps.clear()
    again = await component.evaluate(subject)
    assert component.context.running.report.steps == [10, 10], "the last of each model's ten prompts"
    assert again.facts == first.facts


async def test_another_training_leaves_what_the_base_said(subject, models, tmp_path):
    component = evaluator(tmp_path)
    first = await component.evaluate(subject)
    again = tmp_path / "again"
    shutil.copytree(models[1], again)
    (again / "model.safetensors").write_bytes((models[0] / "model.safetensors").read_bytes())
    component.context.running.report.steps.clear()
    other = await component.evaluate(subject.model_copy(update={"path": str(again)}))
    assert component.context.running.report.steps == list(range(1, 11)), "the new model's prompts, none of the base's"
    assert other.facts["base"] == first.facts["base"]
    assert other.facts["loss_drop"][0] == pytest.approx(0), "the new model is the base"


async def test_only_what_follows_the_answer_is_an_end_token(models, tmp_path):
    turns = [{"role": "user", "content": "출고 x"}]
    prompts = [{"id": text, "messages": turns, "reference": text, "answer": False} for text in ("끝", "ax", "x\n")]
    file, out = tmp_path / "prompts.jsonl", tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts), encoding="utf-8")
    job = {"model": str(models[0]), "tokenizer": str(models[0]), "prompts": str(file), "out": str(out)}
    importlib.import_module("wmsforge_evaluation.jobs.asking").ask_all({**job, "max_tokens": 1}, Told())
    for line in map(json.loads, out.read_text(encoding="utf-8").splitlines()):
        assert line["end_tokens"] == 1, "<end>"
        assert 0 < line["end_loss"] < line["loss"]
        assert line["tokens"] > 1


def quantised(folder, model):
    """Write the model with linear layers in FP8, as the exporter `fp8` leaves it."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, folder)
    weights = {}
    for name, weight in load_file(model / "model.safetensors").items():
        weights[name] = weight
        if name.endswith("proj.weight"):
            scale = weight.abs().amax(dim=1, keepdim=True) / 448
            weights[name], weights[f"{name}_scale"] = (weight / scale).to(torch.float8_e4m3fn), scale
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    eight = {"num_bits": 8, "type": "float", "symmetric": True}
    group = {
        "targets": ["Linear"],
        "weights": {**eight, "strategy": "channel", "dynamic": False},
        "input_activations": {**eight, "strategy": "token", "dynamic": True},
    }
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
        "quantization_status": "compressed",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


async def test_an_fp8_checkpoint_is_measured_as_well(subject, models, tmp_path):
    pytest.importorskip("compressed_tensors")
    merged = await evaluator(tmp_path / "merged").evaluate(subject)
    folder = quantised(tmp_path / "fp8", models[1])
    facts = {**subject.facts, "format": "compressed-tensors"}
    fp8 = await evaluator(tmp_path / "fp8-report").evaluate(Artifact(kind="model", path=str(folder), facts=facts))
    before, after = merged.facts["tuned"]["loss"][0], fp8.facts["tuned"]["loss"][0]
    assert after == pytest.approx(before, rel=0.2)
    assert after != before
    assert "The model is quantised" in Path(fp8.path).read_text(encoding="utf-8")  # noqa: ASYNC240


def test_a_missing_package_is_named_with_the_remedy(models, monkeypatch):
    job = importlib.import_module("wmsforge_evaluation.jobs.asking")

    def fail(*args, **options):
        raise ImportError("compressed-tensors is needed")

    monkeypatch.setattr(job.AutoModelForCausalLM, "from_pretrained", fail)
    with pytest.raises(JobError, match=r"compressed-tensors is needed\nLeave option env at auto"):
        job._load(str(models[0]), None)


async def test_what_is_missing_is_said_with_the_remedy(subject, tmp_path):
    bare = subject.model_copy(update={"facts": {"eval_path": subject.facts["eval_path"]}})
    with pytest.raises(StepError, match=r"which base .*\nName it: --set steps.report.base="):
        await evaluator(tmp_path).evaluate(bare)
    bare = subject.model_copy(update={"facts": {"base": "x"}})
    with pytest.raises(StepError, match=r"no held-out rows to measure on.\nGive the dataset an eval_share"):
        await evaluator(tmp_path).evaluate(bare)
    with pytest.raises(StepError, match="Let it read the merge step"):
        await evaluator(tmp_path).evaluate(Artifact(kind="adapter", path=subject.path))
