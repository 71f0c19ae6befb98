"""Runs a chain of filters: each record through them in their order, until one drops it.

Filters of one record at a time stream. A corpus filter waits for all records that came so far and
holds them in memory.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from wmsforge.errors import RecordError, StepError
from wmsforge.run.chat import ASKED
from wmsforge.run.step_run import StepRun
from wmsforge.steps.filter import CorpusFilter, Filter, Item, Verdict


async def run_filters(run: StepRun) -> None:
    """Judge every record of the input."""
    chain = [(use.offer.name, await run.open(use)) for use in run.step.uses]
    batches: AsyncIterator[list[Item]] = run.follow()
    for name, filter in chain:
        batches = (
            _whole(run, name, filter, batches)
            if isinstance(filter, CorpusFilter)
            else _each(run, name, filter, batches)
        )
    async for batch in batches:
        for record in batch:
            run.counts.ok += 1
            run.keep(record)


async def _each(
    run: StepRun, name: str, filter: Filter, batches: AsyncIterator[list[Item]]
) -> AsyncIterator[list[Item]]:
    awaits = inspect.iscoroutinefunction(filter.check)
    async for batch in batches:
        verdicts = await (_ask(run, filter, batch) if awaits else asyncio.to_thread(_check, filter, batch))
        yield _sort_out(run, name, batch, verdicts)


async def _whole(
    run: StepRun, name: str, filter: CorpusFilter, batches: AsyncIterator[list[Item]]
) -> AsyncIterator[list[Item]]:
    records = [record async for batch in batches for record in batch]
    verdicts = await filter.check_all(records)
    if len(verdicts) != len(records):
        raise StepError(
            f"Step {run.id!r}: filter {name!r} gave {len(verdicts)} verdicts on {len(records)} records.\n"
            f"This is a fault of the filter; report it to its plugin."
        )
    yield _sort_out(run, name, records, list(verdicts))


def _check(filter: Filter, batch: list[Item]) -> list[Any]:
    return [_or_error(filter, record) for record in batch]


def _or_error(filter: Filter, record: Item) -> Any:
    try:
        return filter.check(record)
    except RecordError as error:
        return _Failed(error, [])


@dataclass(frozen=True)
class _Failed:
    """A record that a filter could not judge, with the keys of the calls it made for it."""

    error: RecordError
    asked: list[bytes]


async def _ask(run: StepRun, filter: Filter, batch: list[Item]) -> list[Any]:
    async def ask(record: Item) -> Any:
        asked: list[bytes] = []
        ASKED.set(asked)
        try:
            return await filter.check(record)  # type: ignore[misc]
        except RecordError as error:
            return _Failed(error, asked)
        finally:
            run.note(record.id, asked)

    return list(await asyncio.gather(*map(ask, batch)))


def _sort_out(run: StepRun, name: str, batch: Sequence[Item], verdicts: Sequence[Verdict | _Failed]) -> list[Item]:
    kept: list[Item] = []
    for record, verdict in zip(batch, verdicts, strict=True):
        if isinstance(verdict, _Failed):
            run.fail(record.id, verdict.error, record, verdict.asked)
        elif verdict.keep:
            kept.append(verdict.replacement or record)
        else:
            run.counts.ok += 1
            run.drop(record, verdict.reason, f"{name}: {verdict.detail}")
    return kept
