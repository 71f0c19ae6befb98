"""Runs an answer generator: Questions in as they come, Answers out in their order."""

from __future__ import annotations

from wmsforge.errors import RecordError
from wmsforge.records import Answer, Question
from wmsforge.run.ordered import run_ordered
from wmsforge.run.step_run import StepRun
from wmsforge.steps.answer_generator import AnswerGenerator

WITHOUT_MODEL = 8
"""Questions in work at once where no model says how many it takes."""


async def run_answers(run: StepRun) -> None:
    """Answer every question; one that cannot be answered is rejected with its reason."""
    generator: AnswerGenerator = await run.open(run.step.uses[0])

    async def work(question: Question) -> Answer | RecordError:
        try:
            return await generator.answer(question)
        except RecordError as error:
            return error

    def emit(question: Question, outcome: Answer | RecordError) -> None:
        if isinstance(outcome, RecordError):
            run.fail(question.id, outcome, question)
        else:
            run.counts.ok += 1
            run.keep(outcome)

    await run_ordered(run.follow(), work, emit, workers=_workers(run))


def _workers(run: StepRun) -> int:
    """Return how many questions to have in work: enough that every slot of the models has a successor."""
    models = run.resources.recipe.models
    slots = [models[id].options.concurrency for id in run.step.models()]  # type: ignore[attr-defined]
    return max(2 * slot for slot in slots) if slots else WITHOUT_MODEL
