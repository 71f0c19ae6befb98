"""Runs an answer generator: Questions in as they come, Answers out in their order."""

from __future__ import annotations

from wmsforge.errors import RecordError
from wmsforge.recipe.model import calls_at_once
from wmsforge.records import Answer, Question
from wmsforge.run.chat import ASKED
from wmsforge.run.ordered import run_ordered
from wmsforge.run.step_run import StepRun
from wmsforge.steps.answer_generator import AnswerGenerator

WORKERS_PER_PLACE = 3
"""Questions in work for each call that the model takes at once, so that every place has a successor while some
questions wait to try again."""
WITHOUT_MODEL = 8
"""Questions in work at once where no model says how many it takes."""


async def run_answers(run: StepRun) -> None:
    """Answer every question; one that cannot be answered is rejected with its reason."""
    generator: AnswerGenerator = await run.open(run.step.uses[0])

    async def work(question: Question) -> Answer | tuple[RecordError, list[bytes]]:
        asked: list[bytes] = []
        ASKED.set(asked)
        try:
            return await generator.answer(question)
        except RecordError as error:
            return error, asked
        finally:
            run.note(question.id, asked)

    def emit(question: Question, outcome: Answer | tuple[RecordError, list[bytes]]) -> None:
        if isinstance(outcome, tuple):
            run.fail(question.id, outcome[0], question, outcome[1])
        else:
            run.counts.ok += 1
            run.keep(outcome)

    places = calls_at_once(run.step.uses[0], run.resources.recipe.models)
    workers = WORKERS_PER_PLACE * places or WITHOUT_MODEL
    await run_ordered(run.follow(), work, emit, workers=workers, stop=run.resources.stop)
