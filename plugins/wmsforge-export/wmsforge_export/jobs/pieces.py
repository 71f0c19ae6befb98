"""Writes the SentencePiece file that the converter wants, for tokenizers that came out of a GGUF file without one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
"""Kinds of pieces, as SentencePiece numbers them."""
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def needs_pieces(folder: Path) -> bool:
    """Tell whether a model's tokenizer is a SentencePiece BPE whose own file is missing."""
    file = folder / "tokenizer.json"
    if (folder / "tokenizer.model").exists() or not file.exists():
        return False
    model = json.loads(file.read_text(encoding="utf-8"))["model"]
    return bool(model.get("type") == "BPE" and model.get("byte_fallback"))


def write_pieces(tokenizer: Path, out: Path) -> None:
    """Write `tokenizer.model` from `tokenizer.json`: the same pieces, scored so that the same ones merge first."""
    from sentencepiece import sentencepiece_model_pb2

    told: dict[str, Any] = json.loads(tokenizer.read_text(encoding="utf-8"))
    added = {token["content"]: CONTROL if token["special"] else USER_DEFINED for token in told["added_tokens"]}
    scores: dict[str, float] = {}
    for rank, (left, right) in enumerate(told["model"]["merges"]):
        scores.setdefault(left + right, float(-rank))
    vocabulary = sorted(told["model"]["vocab"].items(), key=lambda item: item[1])
    unknown = told["model"]["unk_token"]
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.BPE
    model.trainer_spec.vocab_size = len(vocabulary)
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.unk_id = told["model"]["vocab"][unknown]
    for text, _ in vocabulary:
        kind = UNKNOWN if text == unknown else added.get(text) or (BYTE if _BYTE.fullmatch(text) else NORMAL)
        model.pieces.add(piece=text, score=scores.get(text, 0.0), type=kind)
    out.write_bytes(model.SerializeToString())
