"""Writes the SentencePiece file that the converter wants, for tokenizers that came out of a GGUF file without one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
"""Kinds of pieces, as SentencePiece numbers them."""
WHOLE_SCORE = -1000.0
"""What GGUF files score pieces with that are read whole wherever they stand, such as a run of line ends."""
_TURN = re.compile(r"<(start|end)_of_[a-z]+>")
_FIRST_BYTE = "<0x00>"


def needs_pieces(folder: Path) -> bool:
    """Tell whether a model's tokenizer is one of scored pieces, and its SentencePiece file is missing."""
    file = folder / "tokenizer.json"
    if (folder / "tokenizer.model").exists() or not file.exists():
        return False
    return bool(json.loads(file.read_text(encoding="utf-8"))["model"].get("type") == "Unigram")


def write_pieces(tokenizer: Path, out: Path) -> None:
    """Write `tokenizer.model` from `tokenizer.json`: the same pieces with the same scores."""
    from sentencepiece import sentencepiece_model_pb2

    told: dict[str, Any] = json.loads(tokenizer.read_text(encoding="utf-8"))
    special = {token["content"] for token in told["added_tokens"] if token["special"]}
    model = sentencepiece_model_pb2.ModelProto()
    model.trainer_spec.model_type = model.trainer_spec.BPE
    model.trainer_spec.vocab_size = len(told["model"]["vocab"])
    model.trainer_spec.byte_fallback = bool(told["model"]["byte_fallback"])
    model.trainer_spec.unk_id = told["model"]["unk_id"]
    vocabulary = _with_bytes(told["model"]["vocab"])
    for number, (text, score) in enumerate(vocabulary):
        kind = UNKNOWN if number == told["model"]["unk_id"] else _kind(text, score, special)
        model.pieces.add(piece=text, score=score, type=kind)
    out.write_bytes(model.SerializeToString())


def _with_bytes(vocabulary: list[list[Any]]) -> list[list[Any]]:
    """Return the pieces with all 256 bytes: transformers puts a tabulator in the place of its byte."""
    first = next((number for number, (text, _) in enumerate(vocabulary) if text == _FIRST_BYTE), None)
    if first is None:
        return vocabulary
    bytes_ = [[f"<0x{number:02X}>", vocabulary[first + number][1]] for number in range(256)]
    return [*vocabulary[:first], *bytes_, *vocabulary[first + 256 :]]


def _kind(text: str, score: float, special: set[str]) -> int:
    if text in special or _TURN.fullmatch(text):
        return CONTROL
    if text.startswith("<0x") and len(text) == len(_FIRST_BYTE):
        return BYTE
    return USER_DEFINED if score == WHOLE_SCORE else NORMAL
