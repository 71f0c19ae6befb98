"""Has both models score and answer all prompts, in the plugin's environment; what was asked before is not again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmsforge.files import write_atomically
from wmsforge.records import Retrieved, content_id
from wmsforge.steps.base import Environment
from wmsforge_evaluation.prompts import with_passages
from wmsforge_evaluation.rows import HeldOut
from wmsforge_evaluation.subject import Subject

JOB = "wmsforge_evaluation.jobs.asking:ask_all"
SCHEME = 2
"""Raise it when a prompt gets other answers or figures from the same models."""
_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "*.jinja", "generation_config.json")
_MEMORY = "One model is in memory, on a CPU in fp32: lower top_k, max_tokens, or a larger machine."


@dataclass(frozen=True)
class Item:
    """One row with its passages, and whether the models answer it freely."""

    name: str
    row: HeldOut
    passages: Sequence[Retrieved]
    answer: bool


class Asking:
    """The prompts of one evaluation."""

    def __init__(self, items: Sequence[Item], language: str, max_tokens: int, folder: Path) -> None:
        self._items = items
        self._language = language
        self._max_tokens = max_tokens
        self._folder = folder

    async def ask(self, subject: Subject, environment: Environment) -> dict[str, dict[str, Any]]:
        """Return what each variant made of each item, by `variant-item`."""
        results: dict[str, dict[str, Any]] = {}
        # The tuned model first: what is wrong is more likely wrong with it.
        for name, model, revision in (
            ("tuned", subject.path, None),
            ("base", subject.base, subject.base_revision),
        ):
            text = "".join(json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in self._prompts(name))
            # Of the tuned model only the tokenizer decides what the base says: another training leaves that as it is.
            key = content_id(SCHEME, text, _weights(model, revision), _tokenizer(subject.path), self._max_tokens)
            file = self._folder / f"{name}-{key}.prompts.jsonl"
            out = file.with_name(f"{name}-{key}.answers.jsonl")
            write_atomically(file, text.encode())
            job = {"model": model, "revision": revision, "tokenizer": subject.path, "max_tokens": self._max_tokens}
            await environment.run(JOB, {**job, "prompts": str(file), "out": str(out)}, out_of_memory=_MEMORY)
            lines = out.read_text(encoding="utf-8").split("\n")  # U+2028 in a text ends no line
            results |= {one["id"]: one for one in map(json.loads, filter(None, lines))}
        return results

    def _prompts(self, name: str) -> Iterator[dict[str, Any]]:
        for item in self._items:
            rag = with_passages(item.row, item.passages, self._language)
            for variant, messages in ((name, item.row.messages), (f"{name}_rag", rag)):
                yield {
                    "id": f"{variant}-{item.name}",
                    "messages": list(messages),
                    "reference": item.row.reference,
                    "answer": item.answer,
                }


def _weights(model: str, revision: str | None) -> list[Any]:
    """Return what changes when the model does: of files their sizes and times, for reading 20 GB takes minutes."""
    path = Path(model).expanduser()
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return [model, revision, *((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)]


def _tokenizer(folder: str) -> str:
    """Return a digest of what turns messages into tokens and ends answers."""
    files = {file for pattern in _TOKENIZER for file in Path(folder).glob(pattern)}
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()
