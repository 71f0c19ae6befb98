"""Every hop on the real Gemma 3 270M: what merge, FP8 and GGUF change, as numbers."""
# ruff: noqa: E402  # nothing is imported where torch is missing

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from wmsforge_export.fp8 import Fp8
from wmsforge_export.jobs.loading import ROUNDED, Trained, load_base, load_folder, load_tokenizer, with_adapter
from wmsforge_export.jobs.loss import held_out_loss
from wmsforge_export.jobs.merge import merge_layers
from wmsforge_export.jobs.rows import read_rows
from wmsforge_export.merge import Merge

from wmsforge.records import Artifact

pytestmark = pytest.mark.slow


@pytest.fixture
def tuned(gemma, gemma_adapter, rows):
    facts = {"base": str(gemma), "quantization": "nf4", "eval_path": str(rows)}
    return Artifact(kind="adapter", path=str(gemma_adapter), facts=facts)


def test_in_fp32_every_logit_of_merged_and_adapter_is_the_same_to_a_thousandth(gemma, gemma_adapter, rows):
    trained = Trained(str(gemma), None, str(gemma_adapter), nf4=True)
    tokenizer = load_tokenizer(trained)
    beside = with_adapter(trained, ROUNDED, torch.float32)
    merged = merge_layers(with_adapter(trained, ROUNDED, torch.float32))
    base = load_base(str(gemma), None, torch.float32)
    worst = changed = 0.0
    for row in read_rows(rows):
        tokens = torch.tensor([tokenizer.apply_chat_template(row, return_dict=False)])
        with torch.inference_mode():
            expected = beside(tokens).logits
            worst = max(worst, float((merged(tokens).logits - expected).abs().max()))
            changed = max(changed, float((base(tokens).logits - expected).abs().max()))
    print(f"largest difference of a logit: merged {worst:.2e}, base {changed:.2f}")
    assert worst < 1e-3
    assert changed > 1


async def test_merged_bf16_and_fp8_answer_like_the_adapter(tuned, context, rows, report, tmp_path, gemma_adapter):
    merged = await Merge(Merge.Options(base="auto"), context).export(tuned)
    print("merge:", json.dumps({**merged.facts["losses"], **merged.facts["parity"]}))
    trained = Trained(tuned.facts["base"], None, str(gemma_adapter), nf4=True)
    tokenizer, held_out = load_tokenizer(trained), read_rows(rows)
    losses = [
        held_out_loss(model, tokenizer, held_out, report)
        for model in (with_adapter(trained, "nf4"), load_folder(merged.path))
    ]
    print("held-out loss: adapter on NF4 {:.4f}, merged bf16 {:.4f}".format(*losses))
    assert losses[1] == pytest.approx(losses[0], rel=0.005)
    assert merged.facts["merge_base"] == ROUNDED
    pytest.importorskip("llmcompressor")
    context.folder, context.step = tmp_path / "fp8", "fp8"
    fp8 = await Fp8(Fp8.Options(), context).export(merged)
    print("fp8:", json.dumps(fp8.facts["parity"]), fp8.facts["bytes"])
    assert fp8.facts["fp8_weights"] == 18 * 7
    assert fp8.facts["parity"]["perplexity_ratio"] <= 1.03
    assert 0 < fp8.facts["parity"]["kl"] <= 0.05
