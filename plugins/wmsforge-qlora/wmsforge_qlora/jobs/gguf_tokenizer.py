"""The tokenizer of a GGUF file as llama.cpp reads it.

transformers 5.17 reads the pieces of a SentencePiece BPE as those of a Unigram model, so it cuts text in other places
than llama.cpp does, and once it is saved and loaded again it has no merges at all and reads single letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4
"""Kinds of tokens, as GGUF numbers them."""
_SPACE = "▁"


def load_gguf_tokenizer(path: Path) -> Any:
    """Return the tokenizer of a GGUF file; one that is no SentencePiece BPE is read by transformers."""
    reader = GGUFReader(path)

    def value(name: str) -> Any:
        field = reader.get_field(f"tokenizer.{name}")
        return field.contents() if field is not None else None

    if value("ggml.model") != "llama" or value("ggml.add_space_prefix") is not False:
        return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    tokens, kinds = value("ggml.tokens"), value("ggml.token_type")
    names = {
        f"{name}_token": tokens[number]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        if (number := value(f"ggml.{key}_token_id")) is not None
    }
    tokenizer = build(tokens, value("ggml.scores"), kinds, names["unk_token"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=value("chat_template"), **names)


def build(tokens: Sequence[str], scores: Sequence[float], kinds: Sequence[int], unknown: str) -> Tokenizer:
    """Return a BPE tokenizer that merges what makes the piece of the highest score first."""
    vocabulary = {token: number for number, token in enumerate(tokens)}
    merges = _merges(vocabulary, scores)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", _SPACE)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    known = list(zip(tokens, kinds, strict=True))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token, kind in known if kind == CONTROL])
    # Read whole wherever they stand, runs of spaces among them: so they are looked for after spaces were replaced.
    tokenizer.add_tokens([AddedToken(token, normalized=True) for token, kind in known if kind == USER_DEFINED])
    return tokenizer


def _merges(vocabulary: Mapping[str, int], scores: Sequence[float]) -> list[tuple[str, str]]:
    found = []
    for token, number in vocabulary.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocabulary and right in vocabulary:
                found.append((-scores[number], vocabulary[left], vocabulary[right], left, right))
    found.sort()
    return [(left, right) for *_, left, right in found]
