"""The components on a tiny model: adapter, merged, FP8, published folder; whole or not at all."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from wmsforge_export.fp8 import Fp8
from wmsforge_export.hub import Hub
from wmsforge_export.made import MARKER
from wmsforge_export.merge import Merge

from wmsforge.errors import StepError
from wmsforge.records import Artifact

LOOSE = {"kl": 0.2, "perplexity_ratio": 1.2, "answers": 1, "max_tokens": 16}
"""A random model has no sure next word, so rounding shows more than in a trained one."""


def within(model, name):
    """A file of a model's folder."""
    return Path(model.path, name)


def merge(context, **options):
    return Merge(Merge.Options(**{"parity": LOOSE, **options}), context)


def test_environments_are_told_before_anything_runs(context):
    assert [use.name for use in merge(context).environments()] == ["merge"]
    assert [use.name for use in Fp8(Fp8.Options(), context).environments()] == ["fp8"]
    assert Hub(Hub.Options(repo="me/wms"), context).environments() == []
    assert [use.name for use in Hub(Hub.Options(repo="me/wms", push=True), context).environments()] == ["merge"]


async def test_merge_hands_on_where_the_model_comes_from_and_what_the_gate_saw(context, trained):
    model = await merge(context).export(trained)
    assert model.kind == "model"
    assert within(model, "model.safetensors").is_file()
    assert {"base", "adapter", "eval_path", "merge_base", "training"} <= model.facts.keys()
    assert model.facts["training"]["rows"] == 12
    (hop,) = model.facts["hops"]
    assert hop["parity"]["template_equal"]
    assert hop["parity"]["tokens_equal"]
    assert 0 < hop["parity"]["kl"] < 0.2
    figures = json.loads((context.folder / "parity.json").read_text())
    assert len(figures["by_prompt"]) == 6
    assert figures["hop"] == "adapter -> merged"
    assert not list((context.folder / "scratch").iterdir())


async def test_a_model_made_already_is_checked_again_but_not_made_again(context, trained, rows, adapter, tmp_path):
    await merge(context).export(trained)
    await merge(context, parity={**LOOSE, "prompts": 2}).export(trained)
    assert [name.rpartition(":")[2] for name in context.running.ran] == ["merge", "parity", "parity"]
    await merge(context, base="bf16").export(trained)
    assert [name.rpartition(":")[2] for name in context.running.ran][3:] == ["merge", "parity"]


async def test_a_model_that_changed_too_much_stops_the_run_with_the_prompt(context, trained):
    with pytest.raises(StepError) as caught:
        await merge(context, parity={**LOOSE, "kl": 1e-9}).export(trained)
    first, second = str(caught.value).split("\n")
    assert first.startswith("Step 'merged': adapter -> merged changed the model: KL divergence in nats a token ")
    assert "at most 1e-09. Prompt '" in first
    assert "parity.json" in second
    assert "--set steps.merged.parity.kl=" in second


async def test_without_held_out_rows_the_gate_says_what_to_do(context, trained):
    facts = {key: value for key, value in trained.facts.items() if key != "eval_path"}
    bare = trained.model_copy(update={"facts": facts})
    with pytest.raises(StepError, match=r"no prompts: .*\n.*eval_share"):
        await merge(context).export(bare)
    assert context.running.ran == []
    await merge(context, parity={"prompts": 0}).export(bare)
    assert context.warnings == ["parity.prompts is 0: nothing checks that the exported model answers as before."]


async def test_an_adapter_that_does_not_say_how_it_was_trained_is_not_guessed(context, trained):
    facts = {key: value for key, value in trained.facts.items() if key != "quantization"}
    with pytest.raises(StepError, match=r"in 4 bits.\nSay it: --set steps.merged.quantization=nf4"):
        await merge(context).export(trained.model_copy(update={"facts": facts}))


async def test_fp8_reads_the_merged_model_and_hub_shows_the_whole_chain(context, trained, tmp_path):
    pytest.importorskip("llmcompressor")
    merged = await merge(context).export(trained)
    context.folder, context.step = tmp_path / "fp8", "fp8"
    fp8 = await Fp8(Fp8.Options(parity=LOOSE), context).export(merged)
    assert fp8.facts["fp8_weights"] == 14
    assert [hop["exporter"] for hop in fp8.facts["hops"]] == ["merge", "fp8"]
    context.folder, context.step = tmp_path / "hub", "publish"
    options = Hub.Options(repo="me/wms-fp8", license="apache-2.0")
    published = await Hub(options, context).export(fp8)
    card = within(published, "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "| rows trained on | 12 |" in card
    assert "| fp8 | 6 |" in card
    assert str(tmp_path) not in card, "paths of this machine are nobody's business"
    assert within(published, "model.safetensors").stat().st_nlink == 2
    assert not within(published, "training_args.bin").exists()
    assert not published.facts["pushed"]


async def test_exporters_of_models_refuse_adapters_with_the_way_out(context, trained):
    with pytest.raises(StepError, match=r"fp8 was given an adapter.*\nMerge it first"):
        await Fp8(Fp8.Options(), context).export(trained)


def test_a_static_scheme_without_rows_is_a_mistake_of_the_recipe():
    with pytest.raises(ValueError, match="Name a dataset file as calibration"):
        Fp8.Options(scheme="static")


async def test_what_a_killed_run_left_is_replaced_and_never_taken_for_the_model(context, trained):
    torn = context.folder / "model.new"
    torn.mkdir(parents=True)
    (torn / "model.safetensors").write_bytes(b"half")
    (torn / "left.over").write_bytes(b"x")
    model = await merge(context).export(trained)
    assert not torn.exists()
    assert not within(model, "left.over").exists()
    assert within(model, MARKER).is_file()


async def test_hub_wants_to_know_the_licence_of_an_unknown_base(context, trained):
    with pytest.raises(StepError, match=r"is not known here.\n.*license=apache-2.0"):
        await Hub(Hub.Options(repo="me/x"), context).export(trained)


async def test_hub_publishes_an_adapter_with_its_bases_terms(context, trained):
    facts = {**trained.facts, "base": "upstage/SOLAR-10.7B-Instruct-v1.0"}
    published = await Hub(Hub.Options(repo="me/x"), context).export(
        Artifact(kind="adapter", path=trained.path, facts=facts)
    )
    card = within(published, "README.md").read_text()
    assert "license: cc-by-nc-4.0" in card
    assert "forbids commercial use" in card
    assert "base_model: upstage/SOLAR-10.7B-Instruct-v1.0" in card
    assert "library_name: peft" in card
