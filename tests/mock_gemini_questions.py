"""Questions that people wrote, for a fake customer who is asked for questions about one of their topics."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

COLUMNS = ("question", "persona", "topic", "difficulty")
_TOPIC = re.compile(r"^(?:주제|Topic): (.+)$", re.MULTILINE)
_LEVELS = re.compile(r"(?:(\d+) x )?\b(beginner|intermediate|expert) ?\([^)]*\)(?: (\d+)개)?")


@dataclass(frozen=True)
class Written:
    """One row of the file."""

    question: str
    persona: str
    topic: str
    difficulty: str


class QuestionBank:
    """The rows of a CSV file with `COLUMNS`, as recipes/questions.csv.

    Raises:
        ValueError: If a column is missing.
    """

    def __init__(self, path: Path) -> None:
        self._topics: dict[str, list[Written]] = {}
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := set(COLUMNS) - set(reader.fieldnames or ()):
                raise ValueError(f"{path} lacks the columns {', '.join(sorted(missing))}")
            for row in reader:
                written = Written(*(row[column] for column in COLUMNS))
                self._topics.setdefault(written.topic, []).append(written)

    def fill(self, holders: Iterable[dict[str, Any]], system: str, prompt: str, seed: bytes) -> None:
        """Put a question of the prompt's topic into each holder, another one each; leave those that remain.

        The questions are those of the persona that the system instruction names, then others'; of these the ones of
        the level that is asked for, then others; the seed decides among equals. What the prompt says already,
        because it was asked before, is not taken.

        Args:
            holders: Objects with `question` and perhaps `difficulty`, which becomes the level that is asked for.
        """
        topic = _TOPIC.search(prompt)
        left = [row for row in self._topics.get(topic[1], ()) if row.question not in prompt] if topic else []
        levels = _levels(prompt)
        for holder in holders:
            if not left:
                return
            level = next(levels, None) if "difficulty" in holder else None
            chosen = min(left, key=lambda row: _rank(row, system, level, seed))
            left = [row for row in left if row.question != chosen.question]
            holder["question"] = chosen.question
            if "difficulty" in holder:
                holder["difficulty"] = level or chosen.difficulty


def _rank(row: Written, system: str, level: str | None, seed: bytes) -> tuple[bool, bool, bytes]:
    chance = blake2b(seed + row.question.encode(), digest_size=8).digest()
    return f"'{row.persona}'" not in system, level is not None and row.difficulty != level, chance


def _levels(prompt: str) -> Iterator[str]:
    """Yield the level of each question that is asked for: 'expert(...) 2개' or '2 x expert (...)' are two."""
    counts: Counter[str] = Counter()
    for before, level, after in _LEVELS.findall(prompt):
        counts[level] += int(before or after or 1)
    return counts.elements()
