"""The plugin as the engine sees it, and what needs no torch: names, options, locks, templates, Modelfiles, cards."""

import json
import re
import subprocess
import sys
from importlib.resources import files

import pytest
from wmsforge_export.card import render_model_card
from wmsforge_export.chain import adapter_source
from wmsforge_export.jobs.rows import read_rows, spread
from wmsforge_export.jobs.template import serving_template
from wmsforge_export.licenses import base_license
from wmsforge_export.made import MARKER, made
from wmsforge_export.modelfile import Turns, render_modelfile

from wmsforge.env.worker import JobError
from wmsforge.errors import StepError
from wmsforge.plugins import load_plugins
from wmsforge.records import Artifact
from wmsforge.steps.exporter import ModelExporter


def test_no_module_that_the_plan_needs_imports_anything_heavy():
    heavy = ("torch", "transformers", "peft", "bitsandbytes", "llmcompressor", "jinja2", "numpy", "huggingface_hub")
    modules = "wmsforge_export.merge, wmsforge_export.fp8, wmsforge_export.gguf, wmsforge_export.hub"
    code = f"import sys, {modules}; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["merge", "fp8", "gguf", "hub"])
def test_components_are_offered_and_every_option_is_described(name):
    registry = load_plugins().registry
    (offer,) = registry.find(f"wmsforge-export/{name}", ["exporter"])
    component = registry.load(offer)
    assert issubclass(component, ModelExporter)
    for option, field in component.Options.model_fields.items():
        assert field.description, option
    component.Options.model_json_schema()


@pytest.mark.parametrize("lock", ["merge/cpu", "merge/cuda", "fp8/cpu", "fp8/cuda", "gguf/cpu", "gguf/cuda"])
def test_locks_pin_exactly_and_hold_no_wmsforge(lock):
    text = (files("wmsforge_export") / "locks" / f"{lock}.txt").read_text()
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+", pin) for pin in pins)
    assert pins == sorted(pins, key=lambda pin: pin.partition("==")[0])
    assert "torch==2.13.0" in pins
    assert not [pin for pin in pins if pin.startswith("wmsforge")]
    assert lock.endswith("cuda") == any(pin.startswith("nvidia-c") for pin in pins)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("a{% generation %}b{% endgeneration %}c", "a{% if true %}b{% endif %}c"),
        ("{%- generation -%} b {%- endgeneration -%}", "{%- if true -%} b {%- endif -%}"),
        ("{% if add_generation_prompt %}", "{% if add_generation_prompt %}"),
    ],
)
def test_a_serving_template_has_no_marks_of_training(template, expected):
    assert serving_template(template) == expected


def test_rows_of_every_format_are_read_and_spread_evenly(tmp_path):
    rows = [
        {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "a"},
            ]
        },
        {
            "conversations": [
                {"from": "system", "value": "s"},
                {"from": "human", "value": "q"},
                {"from": "gpt", "value": "a"},
            ]
        },
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    one, other = read_rows(tmp_path / "a.jsonl")
    assert one == other == rows[0]["messages"]
    (tmp_path / "b.json").write_text(json.dumps([{"instruction": "q", "input": "", "output": "a"}]))
    assert read_rows(tmp_path / "b.json") == [rows[0]["messages"][1:]]
    assert spread([[n] for n in range(10)], 4) == [[0], [2], [5], [7]]
    (tmp_path / "c.json").write_text(json.dumps([{"text": "no"}]))
    with pytest.raises(JobError, match=r"c.json, row 1: no messages, .*\nName a dataset file"):
        read_rows(tmp_path / "c.json")


async def test_a_folder_is_whole_or_not_there_and_made_once_for_a_key(tmp_path):
    calls = []

    async def make(out):
        calls.append(out)
        (out / "weights").write_text(str(len(calls)))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"n": len(calls)}

    folder = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        await made(folder, {"a": 1}, make)
    assert not folder.exists()
    assert await made(folder, {"a": 1}, make) == {"n": 2}
    assert await made(folder, {"a": 1}, make) == {"n": 2}
    assert await made(folder, {"a": 2}, make) == {"n": 3}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["model", "weights", MARKER]


def test_a_modelfile_says_turns_system_prompt_and_stops():
    turns = Turns(("<u>", "</u><a>", "</a>"), ("<u>", "\n\n", "</u><a>", "</a>"))
    text = render_modelfile("wms-q8_0.gguf", turns, system='"친절"하게', parameters={"num_ctx": 4096}, stop=["</a>"])
    assert text == (
        "FROM ./wms-q8_0.gguf\n"
        'TEMPLATE """{{ if .System }}<u>{{ .System }}\n\n{{ .Prompt }}</u><a>'
        '{{ else }}<u>{{ .Prompt }}</u><a>{{ end }}{{ .Response }}</a>"""\n'
        'SYSTEM """"친절"하게"""\n'
        "PARAMETER num_ctx 4096\n"
        'PARAMETER stop "</a>"\n'
    )


def test_what_the_trainer_said_wins_over_the_adapters_own_file_and_options_over_both(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "a/b", "revision": "v1"}))
    bare = Artifact(kind="adapter", path=str(tmp_path), facts={"quantization": "none"})
    found = adapter_source(bare, "merged", None, "auto")
    assert (found.base, found.revision, found.nf4) == ("a/b", "v1", False)
    facts = {"quantization": "nf4", "base": "c/d", "base_revision": "v2", "double_quantization": False}
    told = bare.model_copy(update={"facts": facts})
    found = adapter_source(told, "merged", None, "auto")
    assert (found.base, found.revision, found.nf4, found.double_quantization) == ("c/d", "v2", True, False)
    found = adapter_source(told, "merged", "e.gguf", "none")
    assert (found.base, found.revision, found.nf4) == ("e.gguf", None, False)
    with pytest.raises(StepError, match=r"has no adapter_config.json.*\nLet it read the step that trains"):
        adapter_source(Artifact(kind="model", path=str(tmp_path / "no")), "merged", None, "auto")


@pytest.mark.parametrize(
    ("base", "license"),
    [
        ("upstage/SOLAR-10.7B-Instruct-v1.0", "cc-by-nc-4.0"),
        ("upstage/SOLAR-10.7B-v1.0", "apache-2.0"),
        ("/models/gemma-3-270m-q4_k_m.gguf", "gemma"),
        ("someone/unknown", None),
    ],
)
def test_licences_of_known_bases(base, license):
    assert base_license(base) == license


def test_a_card_shows_evaluation_hops_and_recipe_but_no_path_of_this_machine():
    hop = {
        "exporter": "merge",
        "parity": {"checked": True, "prompts": 16, "kl": 0.0012, "perplexity_ratio": 1.0, "similarity": 0.97},
    }
    card = render_model_card(
        name="wms",
        base="/home/me/models/base.gguf",
        license="gemma",
        non_commercial=False,
        language="ko",
        facts={
            "format": "gguf",
            "training": {"rows": 1200, "curve_path": "/home/me/x"},
            "hops": [hop, {"exporter": "fp8"}],
        },
        evaluation={
            "loss_drop": [0.3, 0.25, 0.35],
            "tuned": {"loss": [1.25, 1.1, 1.4], "rouge": 0.4},
            "base": {"loss": 3.5},
        },
        recipe="name: wms\n",
        files=["model.gguf"],
    )
    assert "/home/me" not in card
    assert "`base.gguf`" in card
    assert "| rows trained on | 1,200 |" in card
    assert "| tuned | 1.25 [1.1, 1.4] | 0.4 |" in card
    assert "| loss drop | 0.3 [0.25, 0.35] |" in card
    assert "| base | 3.5 |  |" in card
    assert "| merge | 16 | 0.0012 | 1 | 0.97 |" in card
    assert "| fp8 | not checked |" in card
    assert "```yaml\nname: wms\n```" in card
