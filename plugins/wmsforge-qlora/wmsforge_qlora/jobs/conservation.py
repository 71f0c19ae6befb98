"""Every row is trained on, held out, or listed with its reason."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from wmsforge.env.worker import JobError, Report
from wmsforge_qlora.jobs.rows import Row
from wmsforge_qlora.jobs.settings import Job
from wmsforge_qlora.jobs.tokens import TemplateError, Tokenization, Tokens

TOO_LONG = "too_long"
EMPTY = "empty_after_template"
REFUSED = "template_refused"
LIST = "not_trained.jsonl"
_SHOWN = 3


@dataclass(frozen=True)
class NotTrained:
    """A row that is left out."""

    file: str
    row: int
    reason: str
    detail: str
    over_tokens: int
    question: str


@dataclass
class Prepared:
    """The rows of a dataset, tokenized, and what became of the others."""

    train: list[Tokens] = field(default_factory=list)
    held_out: list[Tokens] = field(default_factory=list)
    held_out_rows: list[Row] = field(default_factory=list)
    left_out: list[NotTrained] = field(default_factory=list)
    cut_rows: int = 0
    cut_tokens: int = 0


def prepare(job: Job, train: list[Row], held_out: list[Row], tokenization: Tokenization, report: Report) -> Prepared:
    """Tokenize all rows, write the list of those left out, and stop when there are too many of them.

    Raises:
        JobError: If more than `rejected_share` of the rows are left out, or none is left to train on.
    """
    prepared = Prepared()
    for row, is_held_out in [*((row, False) for row in train), *((row, True) for row in held_out)]:
        tokens = _tokens(job, row, tokenization, prepared)
        if isinstance(tokens, NotTrained):
            prepared.left_out.append(tokens)
        elif is_held_out:
            prepared.held_out.append(tokens)
            prepared.held_out_rows.append(row)
        else:
            prepared.train.append(tokens)
    asked = len(train) + len(held_out)
    kept = len(prepared.train) + len(prepared.held_out)
    assert kept + len(prepared.left_out) == asked  # conservation
    path = job.folder / LIST
    lines = (json.dumps(asdict(row), ensure_ascii=False) for row in prepared.left_out)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if prepared.cut_rows:
        cut = f"{prepared.cut_tokens:,} tokens of {prepared.cut_rows:,} rows"
        report.note(f"truncate: {cut} are cut at {job.settings.max_length:,}")
    if tokenization.ends_added:
        report.note(
            f"the chat template ends no answer, so {tokenization.ends_added:,} rows got the end token, to be learned"
        )
    if prepared.left_out:
        _judge(job, prepared, asked, path, report)
    if not prepared.train:
        raise JobError(f"Step {job.step!r}: no row is left to train on.\nSee the reasons: {path}")
    return prepared


def _tokens(job: Job, row: Row, tokenization: Tokenization, prepared: Prepared) -> Tokens | NotTrained:
    """Return the tokens of a row, or why it is left out."""
    settings = job.settings
    answers = [turn["content"] for turn in row.messages if turn["role"] == "assistant"]
    if not any(answer.strip() for answer in answers):
        return _left_out(row, EMPTY, "the assistant says nothing")
    try:
        tokens = tokenization.tokens(row.messages)
    except TemplateError as error:
        return _left_out(row, REFUSED, str(error))
    over = len(tokens.input_ids) - settings.max_length
    if over > 0 and not settings.truncate:
        detail = f"{len(tokens.input_ids):,} tokens, {over:,} more than max_length {settings.max_length:,}"
        return _left_out(row, TOO_LONG, detail, over)
    whole, tokens = tokens, tokens.cut(settings.max_length)
    if not tokens.learned:
        cut = f" within {settings.max_length:,} tokens" if whole.learned else ""
        return _left_out(row, EMPTY, f"no token of an answer is left{cut}")
    if over > 0:
        prepared.cut_rows += 1
        prepared.cut_tokens += over
    return tokens


def _left_out(row: Row, reason: str, detail: str, over: int = 0) -> NotTrained:
    asked = next((turn["content"] for turn in row.messages if turn["role"] == "user"), "")
    return NotTrained(row.file, row.number, reason, detail, over, asked[:200])


def _judge(job: Job, prepared: Prepared, asked: int, path: Path, report: Report) -> None:
    """Tell what is left out; stop when it is too much."""
    left_out = prepared.left_out
    counts = Counter(row.reason for row in left_out)
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())
    share, limit = len(left_out) / asked, job.settings.rejected_share
    what = f"{len(left_out):,} of {asked:,} rows ({share:.1%}) cannot be trained on: {reasons}"
    if share <= limit:
        report.warn(f"{what}. They are listed in {path}")
        return
    first = [f"  {row.file}, row {row.row}: {row.reason}: {row.detail}" for row in left_out[:_SHOWN]]
    found = f"Step {job.step!r}: {what}; the limit is {limit:.1%}, nothing was trained."
    raise JobError("\n".join([found, _remedy(job, left_out, share, path), *first]))


def _remedy(job: Job, left_out: list[NotTrained], share: float, path: Path) -> str:
    ways = [f"See all: {path}."]
    if longest := max(row.over_tokens for row in left_out):
        ways.append(f"Make room: {job.setting('max_length')}{job.settings.max_length + longest}.")
        ways.append(f"Cut them: {job.setting('truncate')}true.")
    ways.append(f"Do without them: {job.setting('rejected_share')}{math.ceil(share * 100) / 100:g}.")
    return " ".join(ways)
