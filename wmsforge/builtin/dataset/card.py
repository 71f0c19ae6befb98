"""The dataset card: README.md with the front matter that `datasets.load_dataset` reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from wmsforge.builtin.dataset.rows import columns, described
from wmsforge.builtin.dataset.rows import persona_label as label
from wmsforge.records import Answer
from wmsforge.steps.exporter import Origin

_MARK = "<!-- Written by wmsforge for {file}, and written anew with it. -->"
_LISTED = 30
"""Rows of a table of the card; the rest is summed up."""


@dataclass(frozen=True)
class Part:
    """One file of the dataset."""

    split: str
    file: str
    rows: int


@dataclass
class Census:
    """What is in a dataset, counted while it is written."""

    rows: int = 0
    without_sources: int = 0
    documents: set[str] = field(default_factory=set)
    topics: Counter[str] = field(default_factory=Counter)
    personas: Counter[str] = field(default_factory=Counter)
    difficulties: Counter[str] = field(default_factory=Counter)
    askers: Counter[str] = field(default_factory=Counter)
    answerers: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Answer) -> None:
        question = answer.question
        self.rows += 1
        self.without_sources += not answer.retrieved
        self.documents.update(found.passage.path for found in answer.retrieved)
        self.topics[question.topic] += 1
        self.personas[label(question.persona)] += 1
        self.difficulties[question.difficulty or ""] += 1
        self.askers[re.sub(r":\d[\d.]*$", "", question.origin)] += 1  # a file, not each of its lines
        self.answerers[answer.model] += 1


def render_card(
    *,
    origin: Origin,
    language: str,
    license: str,
    row: type[BaseModel],
    parts: Sequence[Part],
    census: Census,
    split: str,
) -> str:
    """Return the text of the card.

    Args:
        language: ISO 639-1 code.
        license: Identifier from the list of the Hugging Face hub, such as `cc-by-4.0`.
        row: The model of the rows; its types go to the front matter, its descriptions to the fields.
        split: How train and eval were told apart; empty without eval.
    """
    front = {
        "pretty_name": origin.recipe,
        "language": [language],
        "license": license,
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [_size(census.rows)],
        "tags": ["synthetic", "wmsforge"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": part.split, "path": part.file} for part in parts],
            }
        ],
        # Without the types the loader guesses them from the first rows, and a page that is always
        # null in one file and a number in the other then stops it.
        "dataset_info": {"config_name": "default", "features": columns(row)},
    }
    sections = [
        f"---\n{yaml.safe_dump(front, allow_unicode=True, sort_keys=False)}---",
        _MARK.format(file=parts[0].file),
        f"# {origin.recipe}",
        f"{census.rows:,} questions and answers made from {len(census.documents):,} documents.",
        "## How it was made",
        f"By wmsforge, recipe `{origin.recipe}` (fingerprint "
        f"`{origin.fingerprint}`), run `{origin.run}`. Each answer was written by a model from the passages that a "
        "retriever found for the question; the recipe's filters then dropped answers that did not hold. `sources` "
        "names those passages, `cited` those that the answer rests on.",
        "## Files",
        _table(("split", "file", "rows"), [(part.split, f"`{part.file}`", f"{part.rows:,}") for part in parts]),
        *([split] if split else []),
        "## Fields",
        _table(("field", "meaning"), [(f"`{name}`", text) for name, text in described(row)]),
        "## Who wrote it",
        _counts("questions by", census.askers),
        _counts("answers by", census.answerers),
        "## What it is about",
        _counts("topic", census.topics),
        _counts("persona", census.personas),
        _counts("difficulty", census.difficulties),
        "## Limits",
        "- The answers are a model's. Filters and citations lower the share of wrong ones, they do not make it zero: "
        "have a person who knows the trade read a sample before training on it.\n"
        "- An answer is only as true as the documents were when they were read.\n"
        f"- {census.without_sources:,} of {census.rows:,} rows have no source.\n"
        "- Personas are invented. Scores compare passages within one row, not between rows.",
    ]
    return "\n\n".join(sections) + "\n"


def card_path(data: Path) -> Path:
    """Return where the card of a data file belongs: README.md beside it, if that place is ours.

    A README.md that someone else wrote, or that describes another data file that still exists, is
    left alone; the card is then `<data file>.README.md`.
    """
    readme = data.with_name("README.md")
    if readme.exists():
        pattern = re.escape(_MARK).replace(re.escape("{file}"), "(.+)")
        found = re.search(pattern, readme.read_text(encoding="utf-8", errors="replace"))
        owner = found.group(1) if found else ""
        if owner != data.name and (not owner or data.with_name(owner).exists()):
            return data.with_name(f"{data.name}.README.md")
    return readme


def _size(rows: int) -> str:
    """Return the hub's size category."""
    bounds = [(1_000, "1K"), (10_000, "10K"), (100_000, "100K"), (1_000_000, "1M"), (10_000_000, "10M")]
    below = ""
    for bound, name in bounds:
        if rows < bound:
            return f"{below}<n<{name}" if below else f"n<{name}"
        below = name
    return f"n>{below}"


def _counts(name: str, counter: Mapping[str, int]) -> str:
    ranked = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    lines = [(key or "(none)", f"{count:,}") for key, count in ranked[:_LISTED]]
    rest = ranked[_LISTED:]
    if rest:
        lines.append((f"({len(rest):,} others)", f"{sum(count for _, count in rest):,}"))
    return _table((name, "rows"), lines)


def _table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    def row(cells: Iterable[Any]) -> str:
        return "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([row(head), row("---" for _ in head), *map(row, lines)])
