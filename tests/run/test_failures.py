"""What goes wrong in a component: the run stops with an error that names step, component and remedy."""

from __future__ import annotations

import json

import pytest
import run_components
from run_project import RECIPE, Project

from wmsforge.errors import RecipeError, StepError, WmsforgeError


async def failure(project: Project) -> str:
    """Return the message of a run that fails; a message names what to do in a second line."""
    with pytest.raises(WmsforgeError) as raised:
        await project.run()
    assert isinstance(raised.value, StepError)
    assert project.seen[-1] == ("run_failed", {"error": str(raised.value)})
    return str(raised.value)


async def test_a_step_that_keeps_nothing_fails(project: Project) -> None:
    project.edit("text: XXX", "text: what")
    assert await failure(project) == (
        "Step 'kept' kept none of 6 items; main reasons 'holds_text' (6).\n"
        "See them: wmsforge peek recipe.yaml kept --rejected"
    )
    assert list(project.reasons()) == ["kept", "dataset"]
    assert project.data() is None


async def test_a_loader_without_sources_fails(project: Project) -> None:
    project.edit("path: docs", "path: no-docs")
    assert (await failure(project)).startswith("Step 'documents' kept none of 0 items; there was nothing to work on.\n")


async def test_too_many_rejects_stop_the_run_and_the_calls_stay(project: Project) -> None:
    project.edit("expert: {use: echo}", "expert: {use: echo, refuse: 'Ann'}")
    project.edit("name: tiny", "name: tiny\nmax_rejected_share: 0.3")
    assert await failure(project) == (
        "Step 'answers' stopped: 2 of 6 items were rejected (limit 30%); main reasons 'refused' (2).\n"
        "See them: wmsforge peek recipe.yaml answers --rejected"
    )
    project.edit("refuse: 'Ann'", "refuse: ''")
    await project.run()
    assert project.calls() == [f"call 질문: Ann: what is a {word} ?" for word in ("dock", "rack")]


async def test_a_step_that_rejects_stops_early(project: Project) -> None:
    names = ", ".join(f"N{number}" for number in range(200))
    project.edit("[Ann, Ben, Cem]", f"[{names}]")
    project.edit("expert: {use: echo}", "expert: {use: echo, refuse: 'what', concurrency: 1}")
    assert (await failure(project)).startswith("Step 'answers' stopped: 50 of 50 items were rejected (limit 50%)")
    assert len(project.calls()) < 60


async def test_as_many_rejects_as_allowed_are_fine(project: Project) -> None:
    project.edit("expert: {use: echo}", "expert: {use: echo, refuse: 'Ann'}")
    await project.run()
    counts = project.manifest("answers").counts
    assert (counts.read, counts.out, counts.failed, counts.reasons) == (6, 4, 2, {"refused": 2})
    assert run_components.HAPPENED.count("rejected answers refused") == 2


async def test_a_failing_task_of_a_question_generator_is_rejected_by_its_name(project: Project) -> None:
    project.edit("[Ann, Ben, Cem]", "[Ann, Ben, Cem], mute: [Ben]")
    await project.run()
    counts = project.manifest("questions").counts
    assert (counts.read, counts.ok, counts.failed, counts.out) == (3, 2, 1, 4)
    rejected = project.workspace.step_folder("tiny", "questions") / "rejected.jsonl"
    assert json.loads(rejected.read_text("utf-8")) == {"id": "Ben", "reason": "mute", "detail": "Ben says nothing"}


async def test_an_exporter_that_loses_a_row_is_found_out(project: Project) -> None:
    project.edit("path: out/data.txt", "path: out/data.txt, lose: 1")
    assert await failure(project) == (
        "Step 'dataset' (exporter/lines) wrote 5 of 6 rows.\nThis is a fault of the exporter; report it to its plugin."
    )
    assert list(project.reasons()) == ["dataset"]


async def test_a_filter_that_gives_too_few_verdicts_is_found_out(project: Project) -> None:
    project.edit("{use: without, text: XXX}", "{use: distinct, forget: 1}")
    assert await failure(project) == (
        "Step 'kept': filter 'distinct' gave 5 verdicts on 6 records.\n"
        "This is a fault of the filter; report it to its plugin."
    )


async def test_an_error_that_nobody_foresaw_names_step_and_component(project: Project) -> None:
    project.edit("text: XXX", "text: XXX, error: true")
    assert await failure(project) == (
        "Step 'kept' (filter/without) broke: ZeroDivisionError: a fault\n"
        "This is a fault of the component. The traceback: the same command with wmsforge --debug"
    )
    project.write(RECIPE + "  adapter: {use: tune, from: dataset, error: plain}\n")
    assert (await failure(project)).startswith("Step 'adapter' (trainer/tune) broke: ValueError: no such layer\n")


async def test_a_record_error_where_no_record_can_be_rejected_names_step_and_component(project: Project) -> None:
    project.write(RECIPE + "  adapter: {use: tune, from: dataset, error: record}\n")
    assert await failure(project) == (
        "Step 'adapter' (trainer/tune) cannot go on: bad_row: row 3 has no text\n"
        "What it stored stays. Mend this and run the same command again."
    )


async def test_an_index_that_breaks_while_it_is_loaded_names_step_and_component(project: Project) -> None:
    await project.run()
    (project.workspace.step_folder("tiny", "index") / "words.json").unlink()
    project.edit("top_k: 3", "top_k: 2")
    assert (await failure(project)).startswith("Step 'index' (retriever/words) cannot read or write a file: [Errno 2] ")


async def test_a_question_about_nothing_in_the_documents_is_rejected(project: Project) -> None:
    project.edit("[Ann, Ben, Cem]", "[Ann], words: [dock]")
    project.edit("path: docs}", "path: other}")
    project.folder.joinpath("other").mkdir()
    project.folder.joinpath("other/a.txt").write_text("nothing shared\n", encoding="utf-8")
    assert (await failure(project)).startswith(
        "Step 'answers' kept none of 1 items; main reasons 'nothing_retrieved' (1)."
    )


@pytest.mark.parametrize("retriever", ["words", "{use: words}"])
def test_an_index_that_no_step_builds_is_refused_at_check(project: Project, retriever: str) -> None:
    project.edit("retriever: index", f"retriever: {retriever}")
    with pytest.raises(RecipeError) as raised:
        project.plan()
    assert str(raised.value).splitlines()[0] == (
        "recipe.yaml:8:40  steps.answers.retriever: an answer_generator searches the finished index of a step, "
        "and no step builds this 'words'. Write the id of such a step: 'index'."
    )


async def test_only_a_filter_of_single_answers_may_choose(project: Project) -> None:
    project.edit("top_k: 3", "top_k: 3, samples: 2, choose_by: distinct")
    assert await failure(project) == (
        "Step 'answers': 'choose_by' names 'distinct', which does not judge one answer at a time.\n"
        "Name a filter that does, such as 'grounded'."
    )
