"""The exporter that all formats share: rows to files, with split, card and counts.

A format says what its rows are and how they are written; the rest is here. Plugins may build on
`RowExporter` as the formats of the core do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from pydantic import BaseModel, Field, field_validator

from wmsforge.builtin.dataset.card import Census, Part, card_path, render_card
from wmsforge.builtin.dataset.files import Row, Spool, atomic_file
from wmsforge.builtin.dataset.rows import MessagesRow, messages_row
from wmsforge.builtin.dataset.split import Assignment, SectionSplit
from wmsforge.errors import StepError
from wmsforge.options import Options
from wmsforge.records import Answer, Artifact
from wmsforge.steps.exporter import DatasetExporter, Origin


class DatasetOptions(Options):
    """Options of every dataset format."""

    suffixes: ClassVar[tuple[str, ...]] = (".json", ".jsonl")

    path: Path = Field(description="File to write, from the working directory. With `eval_share` it is the train part.")
    eval_share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Share of the rows, 0..0.5, to put into `<name>.eval.<suffix>` beside `path`. No document section "
        "is cited on both sides, so the share is reached as nearly as whole groups of rows allow.",
    )
    card: bool = Field(
        default=True,
        description="Whether to write a dataset card, README.md, beside `path`. A README.md that is not this "
        "dataset's is left alone and the card is named `<file>.README.md`.",
    )
    license: str = Field(
        default="unknown", description="Licence of the dataset, as the Hugging Face hub names it, for the card."
    )

    @field_validator("path")
    @classmethod
    def _check_suffix(cls, path: Path) -> Path:
        if path.suffix not in cls.suffixes:
            raise ValueError(f"must end in {' or '.join(cls.suffixes)}, found {path.name!r}")
        return path


class MessagesOptions(DatasetOptions):
    """Options of the formats that hold conversations."""

    system: str = Field(default="", description="System prompt to put first in every row; empty for none.")


class RowExporter(DatasetExporter):
    """Writes one row an answer."""

    Options: ClassVar[type[Options]] = DatasetOptions
    format: ClassVar[str]
    """The name of the format, kept in the artifact's facts for whoever trains on it."""
    row_type: ClassVar[type[BaseModel]]

    @abstractmethod
    def row(self, answer: Answer, origin: Origin) -> BaseModel:
        """Return the row of one answer, of `row_type`."""

    @abstractmethod
    def write(self, rows: Iterable[Row], file: BinaryIO) -> None:
        """Write all rows of one file."""

    def export(self, answers: Iterable[Answer], origin: Origin) -> Artifact:
        """Write train, eval and card. Memory does not grow with the texts, only with what the split keeps.

        Raises:
            StepError: If there are no answers.
        """
        path: Path = self.options.path
        share: float = self.options.eval_share
        path.parent.mkdir(parents=True, exist_ok=True)
        census, split = Census(), SectionSplit(self.context.seed)
        with Spool(path.parent) as spool:
            for answer in answers:
                census.add(answer)
                spool.add(self.row(answer, origin).model_dump(mode="json", by_alias=True))
                if share:
                    split.add(answer)
            if not census.rows:
                raise StepError(
                    f"Step {self.context.step!r} was given no answers, so there is no dataset to write.\n"
                    "See what was dropped before it and why: wmsforge peek RECIPE kept --rejected "
                    "('kept' being the step its 'from' names)."
                )
            assignment = split.assign(share) if share else Assignment(frozenset(), 0, 0)
            parts = self._write_parts(spool, assignment.eval_rows)
        facts: dict[str, Any] = {"rows": census.rows, "format": self.format}
        facts |= {f"{part.split}_rows": part.rows for part in parts}
        if assignment.eval_rows:
            facts["eval_path"] = path.with_name(parts[1].file).as_posix()
        if share:
            facts |= self._judge(assignment, census.rows)
        if self.options.card:
            facts["card"] = self._write_card(origin, parts, census, facts).as_posix()
        also = tuple(facts[name] for name in ("eval_path", "card") if name in facts)
        return Artifact(kind="dataset", path=path.as_posix(), also=also, facts=facts)

    def _write_parts(self, spool: Spool, eval_rows: frozenset[int]) -> list[Part]:
        path: Path = self.options.path
        beside = path.with_name(f"{path.stem}.eval{path.suffix}")
        if not eval_rows and beside.exists():
            self.context.warn(
                f"{beside} is of an earlier export, and its rows are in {path} now. Delete it before you measure on it."
            )
        files = {"train": path} | ({"eval": beside} if eval_rows else {})
        with ExitStack() as stack:
            for name, target in files.items():
                file = stack.enter_context(atomic_file(target))
                self.write(_side(spool, eval_rows, name == "eval"), file)
                file.flush()  # a full disk must show before any file takes its name
        counts = {"train": spool.rows - len(eval_rows), "eval": len(eval_rows)}
        return [Part(name, target.name, counts[name]) for name, target in files.items()]

    def _judge(self, assignment: Assignment, rows: int) -> dict[str, Any]:
        """Return the facts of the split, and warn when it is far from what was asked."""
        share: float = self.options.eval_share
        reached, target = len(assignment.eval_rows), share * rows
        if not reached or abs(reached - target) > max(1.0, 0.2 * target):
            self.context.warn(
                f"eval_share {share:g} asks for {target:.0f} of {rows:,} rows and {reached:,} were reached: rows that "
                f"cite one document section stay together, and the largest of the {assignment.groups:,} groups has "
                f"{assignment.largest:,} rows. More documents or finer sections make more groups."
            )
        return {
            "eval_share": round(reached / rows, 4),
            "groups": assignment.groups,
            "largest_group": assignment.largest,
        }

    def _write_card(self, origin: Origin, parts: list[Part], census: Census, facts: dict[str, Any]) -> Path:
        path = card_path(self.options.path)
        if path.name != "README.md":
            self.context.warn(
                f"{path.with_name('README.md')} is not the card of {self.options.path.name}, so it was left alone and "
                f"the card is {path}. load_dataset reads README.md only: give each dataset a folder of its own."
            )
        split = ""
        if len(parts) > 1:
            split = (
                f"No document section that an eval answer cites is cited by a train answer, and no question is in both."
                f" Rows that share one stay together ({facts['groups']:,} groups); {facts['eval_share']:.1%} of the "
                "rows are in eval."
            )
        text = render_card(
            origin=origin,
            language=self.context.language,
            license=self.options.license,
            row=self.row_type,
            parts=parts,
            census=census,
            split=split,
        )
        with atomic_file(path) as file:
            file.write(text.encode())
        return path


class MessagesExporter(RowExporter):
    """Writes rows of messages and metadata."""

    Options: ClassVar[type[Options]] = MessagesOptions
    row_type: ClassVar[type[BaseModel]] = MessagesRow

    def row(self, answer: Answer, origin: Origin) -> MessagesRow:
        return messages_row(answer, origin, self.options.system)


def _side(spool: Spool, eval_rows: frozenset[int], wanted: bool) -> Iterator[Row]:
    return (row for number, row in enumerate(spool.read()) if (number in eval_rows) == wanted)
