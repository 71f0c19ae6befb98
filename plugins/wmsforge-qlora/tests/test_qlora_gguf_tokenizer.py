"""The tokenizer of a GGUF base; that it cuts text as llama.cpp does is tested in wmsforge-export, with llama.cpp."""
# nothing is imported where they are missing

import pytest

pytest.importorskip("gguf")
pytest.importorskip("transformers")

from wmsforge_qlora.jobs.gguf_tokenizer import build


def test_the_piece_of_the_highest_score_is_merged_first():
    tokens = ["<unk>", "a", "b", "c", "ab", "bc", "abc", "▁", "<go>"]
    low = build(tokens, [0, 0, 0, 0, -1, -2, -3, 0, 0], [2, 1, 1, 1, 1, 1, 1, 1, 3], "<unk>")
    assert low.encode("abc").tokens == ["abc"]
    assert low.encode("bc<go>ab c").tokens == ["bc", "<go>", "ab", "▁", "c"]
    no_whole = build(tokens[:6], [0, 0, 0, 0, -2, -1], [2, 1, 1, 1, 1, 1], "<unk>")
    assert no_whole.encode("abc").tokens == ["a", "bc"]
