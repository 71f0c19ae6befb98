"""The merge job: a merged model is the adapter on its base."""
# ruff: noqa: E402  # nothing is imported where torch is missing

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("bitsandbytes")

from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from wmsforge_export.jobs.conversation import render
from wmsforge_export.jobs.loading import ROUNDED, Trained, load_folder, load_tokenizer, with_adapter
from wmsforge_export.jobs.loss import answer_logprobs, held_out_loss
from wmsforge_export.jobs.merge import merge, merge_layers
from wmsforge_export.jobs.rows import read_rows

from wmsforge.env.worker import JobError


@pytest.mark.parametrize("base", [ROUNDED, "bf16"])
def test_in_fp32_every_logit_of_merged_and_adapter_is_the_same_to_a_thousandth(tiny, adapter, rows, base):
    trained = Trained(str(tiny), None, str(adapter), nf4=base == ROUNDED)
    tokenizer = load_tokenizer(trained)
    beside = with_adapter(trained, base, torch.float32)
    merged = merge_layers(with_adapter(trained, base, torch.float32))
    plain = with_adapter(trained, base, torch.float32).unload()
    for row in read_rows(rows):
        tokens = torch.tensor([tokenizer.apply_chat_template(row, return_dict=False)])
        with torch.inference_mode():
            expected = beside(tokens).logits
            assert (merged(tokens).logits - expected).abs().max() < 1e-3
            assert (plain(tokens).logits - expected).abs().max() > 0.1, "the adapter does nothing"


def test_in_bf16_the_held_out_loss_stays_within_half_a_percent(tiny, adapter, rows, report, tmp_path):
    trained = Trained(str(tiny), None, str(adapter), nf4=True)
    job = {"base": str(tiny), "adapter": str(adapter), "nf4": True, "merge_base": ROUNDED, "out": str(tmp_path / "out")}
    told = merge(job, report)
    tokenizer, held_out = load_tokenizer(trained), read_rows(rows)
    before = held_out_loss(with_adapter(trained, "nf4"), tokenizer, held_out, report)
    after = held_out_loss(load_folder(str(tmp_path / "out")), tokenizer, held_out, report)
    assert after == pytest.approx(before, rel=0.005)
    assert told["merge_base"] == ROUNDED
    assert report.steps[13] == (14, 14, "layers")


def test_weights_rounded_in_place_are_those_that_transformers_dequantises(tiny, adapter):
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    theirs = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16, quantization_config=config).dequantize()
    ours = with_adapter(Trained(str(tiny), None, str(adapter), nf4=True), ROUNDED).unload()
    for name, weight in theirs.named_parameters():
        assert torch.equal(weight.to(torch.bfloat16), ours.get_parameter(name)), name


def test_the_folder_is_bf16_with_tokenizer_and_a_template_without_training_marks(tiny, adapter, rows, report, tmp_path):
    out = tmp_path / "out"
    merge({"base": str(tiny), "adapter": str(adapter), "nf4": False, "merge_base": "bf16", "out": str(out)}, report)
    config = json.loads((out / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert "generation %}" not in tokenizer.chat_template.replace("add_generation", "")
    trained = AutoTokenizer.from_pretrained(adapter)
    for row in read_rows(rows):
        assert render(tokenizer, row) == render(trained, row)
    ends = json.loads((out / "generation_config.json").read_text())["eos_token_id"]
    assert set(ends) == {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_turn>")}


def test_auto_takes_the_base_whose_loss_is_nearer_to_the_adapters(tiny, adapter, rows, report, tmp_path):
    job = {"base": str(tiny), "adapter": str(adapter), "nf4": True, "merge_base": "auto", "rows": str(rows)}
    told = merge({**job, "out": str(tmp_path / "out")}, report)
    losses = told["losses"]
    assert told["merge_base"] == ROUNDED
    assert abs(losses[ROUNDED] - losses["adapter"]) < abs(losses["bf16"] - losses["adapter"])
    assert "merged into dequantized" in report.notes[0]
    with pytest.raises(JobError, match=r"no held-out rows.\nWrite base: dequantized"):
        merge({**job, "rows": None, "out": str(tmp_path / "none")}, report)


def test_an_adapter_of_another_model_is_refused_with_both_names(tiny, adapter, report, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(
        LlamaConfig(vocab_size=512, hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2)
    ).save_pretrained(tmp_path / "other")
    job = {"base": str(tmp_path / "other"), "adapter": str(adapter), "nf4": False, "merge_base": "bf16"}
    with pytest.raises(JobError, match="does not fit the base"):
        merge({**job, "out": str(tmp_path / "out")}, report)


def test_a_missing_base_is_named_with_the_remedy(adapter, report, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    job = {"base": str(tmp_path / "none"), "adapter": str(adapter), "nf4": False, "merge_base": "bf16"}
    with pytest.raises(JobError, match=r"cannot be loaded: .*\n.*option base_model"):
        merge({**job, "out": str(tmp_path / "out")}, report)


def test_only_the_answers_tokens_are_scored(tiny, adapter, rows):
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    row = read_rows(rows)[0]
    example = render(tokenizer, row)
    assert tokenizer.decode(example.prompt_tokens).endswith("<start_of_turn>assistant\n")
    assert tokenizer.decode(example.answer_tokens) == row[-1]["content"] + "<end_of_turn>\n"
    model = load_folder(str(tiny))
    logprobs = answer_logprobs(model, example)
    with torch.inference_mode():
        whole = model(torch.tensor([example.prompt_tokens + example.answer_tokens])).logits[0].float().log_softmax(-1)
    start = len(example.prompt_tokens)
    torch.testing.assert_close(logprobs, whole[start - 1 : -1])
