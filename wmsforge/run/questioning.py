"""Runs a question generator: its tasks side by side, their questions taken in turn.

Questions are written in a fixed order that does not depend on who is faster: the first question
of every task of a group, then the second of every task, and so on. So a preview of the first N
questions hears every persona, and the answers step can start at once.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

from wmsforge.errors import RecordError
from wmsforge.records import Question
from wmsforge.run.step_run import StepRun
from wmsforge.run.tasks import first_error_only
from wmsforge.steps.question_generator import QuestionGenerator

GROUP = 64
"""Tasks that run side by side; how many calls are in flight is the model's `concurrency`."""

LANE = 64
"""Questions of one task that may wait for those of others; a task further ahead pauses."""

_Lane = asyncio.Queue[Question | RecordError | None]


async def run_questions(run: StepRun, limit: int | None) -> None:
    """Ask the questions of every task, at most `limit` in all."""
    await run.inputs_finished()
    generator: QuestionGenerator = await run.open(run.step.uses[0])
    tasks = iter(generator.tasks(run.read()))
    # A preview starts no task that it has no room for: what that asks a model would be paid and thrown away.
    room = GROUP if limit is None else min(GROUP, limit)
    while room > 0 and (group := await asyncio.to_thread(list, islice(tasks, room))):
        await _run_group(run, generator, group, limit)
        if limit is not None:
            room = min(GROUP, limit - run.counts.out)


async def _run_group(
    run: StepRun, generator: QuestionGenerator, group: list[tuple[str, Any]], limit: int | None
) -> None:
    lanes: list[tuple[str, _Lane]] = [(name, asyncio.Queue(maxsize=LANE)) for name, _ in group]
    run.counts.read += len(group)
    async with first_error_only(), asyncio.TaskGroup() as side_by_side:
        asking = [
            side_by_side.create_task(_ask(generator, task, lane))
            for (_, task), (_, lane) in zip(group, lanes, strict=True)
        ]
        while lanes:
            still_asking = []
            for name, lane in lanes:
                if limit is not None and run.counts.out >= limit:
                    run.counts.ok += 1  # the preview is full: what else the task would ask is not needed
                    continue
                outcome = await lane.get()
                if isinstance(outcome, Question):
                    run.keep(outcome)
                    still_asking.append((name, lane))
                elif isinstance(outcome, RecordError):
                    run.fail(name, outcome)
                else:
                    run.counts.ok += 1
            lanes = still_asking
        for task in asking:
            task.cancel()


async def _ask(generator: QuestionGenerator, task: Any, lane: _Lane) -> None:
    try:
        async for question in generator.generate(task):
            await lane.put(question)
    except RecordError as error:
        await lane.put(error)
    else:
        await lane.put(None)
