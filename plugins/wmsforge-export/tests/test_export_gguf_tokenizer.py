"""The tokenizer of a GGUF base cuts text where llama.cpp cuts it, also after it was saved and loaded again."""
# nothing is imported where they are missing

import pytest

pytest.importorskip("gguf")
pytest.importorskip("transformers")
pytest.importorskip("xllamacpp")
pytest.importorskip("wmsforge_qlora")

from transformers import AutoTokenizer
from wmsforge_export.jobs.served import _llama, post
from wmsforge_qlora.jobs.gguf_tokenizer import load_gguf_tokenizer

TEXTS = [
    "<start_of_turn>user\n크로스도킹이 뭔가요?<end_of_turn>\n<start_of_turn>model\n",
    "Hello  world   three\n\nspaces\t tab",
    "WMS(창고관리시스템) 2.5톤, E-4012 오류!",
    "😀 이모지 龘 漢字",
    "  앞 공백",
]


@pytest.mark.slow
def test_gemmas_tokens_are_those_of_llama_cpp(gemma_gguf, tmp_path):
    tokenizer = load_gguf_tokenizer(gemma_gguf)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    with _llama(str(gemma_gguf), 256) as url:
        for text in TEXTS:
            body = {"content": text, "add_special": False, "parse_special": True}
            expected = post(f"{url}/tokenize", body)["tokens"]
            assert tokenizer(text, add_special_tokens=False)["input_ids"] == expected
            assert again(text, add_special_tokens=False)["input_ids"] == expected
            assert tokenizer.decode(expected) == text
