"""Whole recipes through the engine: what runs, what is reused, why, and what stands in the manifests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import run_components
from run_project import RECIPE, Project

from wmsforge.errors import RecipeError
from wmsforge.store.record_store import read_rejected

ALL_KINDS = (
    RECIPE
    + """\
  adapter: {use: tune, from: dataset}
  merged: {use: merge, from: adapter}
  server: {use: serve, from: merged}
  report: {use: score, from: server}
"""
)


def check_conservation(project: Project, *, until: str | None = None) -> None:
    for id in project.plan(until=until).steps:
        counts = project.manifest(id).counts
        assert counts.read == counts.ok + counts.failed, id
        assert counts.made == counts.out + counts.dropped, id
        assert counts.failed + counts.dropped == sum(counts.reasons.values()), id


async def test_all_kinds_run_in_one_recipe_and_servers_stay_up_until_the_run_is_cancelled(project: Project) -> None:
    project.write(ALL_KINDS)
    task = await project.start("serving")
    assert project.events("serving") == [{"endpoints": {"server": "http://server"}}]
    assert "server.stop" not in run_components.HAPPENED
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run_components.HAPPENED[-2:] == ["server.stop", "echo.close"]
    assert project.seen[-1][0] == "run_stopped"

    check_conservation(project)
    assert project.data() == [
        f"{asker}: what is a {word} ? -> Answer to 질문: {asker}: what is a {word} ?"
        for asker in ("Ann", "Ben", "Cem")
        for word in ("dock", "rack")
    ]
    facts = {id: project.manifest(id).artifact.facts for id in ("index", "dataset", "adapter", "merged", "report")}
    assert facts == {
        "index": {"passages": 3},
        "dataset": {"rows": 6},
        "adapter": {"rows": 6},
        "merged": {"from": "adapter"},
        "report": {"subject": "endpoint"},
    }
    calls = project.manifest("answers").calls["expert (echo-1)"]
    assert (calls.calls, calls.prompt_tokens, calls.completion_tokens) == (6, 42, 18)


async def test_a_second_run_reuses_everything(project: Project) -> None:
    await project.run()
    before = project.data()
    assert project.reasons() == {}
    runner = await project.run()
    assert {step.state for step in runner.steps.values()} == {"reused"}
    assert [facts["step"] for facts in project.events("step_reused")] == list(runner.steps)
    assert run_components.HAPPENED == []
    assert project.data() == before


async def test_a_changed_option_runs_its_step_and_those_after_it_again(project: Project) -> None:
    await project.run()
    project.edit("top_k: 3", "top_k: 1")
    assert project.reasons() == {"answers": "top_k: 3 -> 1", "kept": "answers changed", "dataset": "kept changed"}
    await project.run()
    assert len(project.calls()) == 6
    assert "words.build" not in run_components.HAPPENED
    assert {len(answer["retrieved"]) for answer in project.records("answers")} == {1}
    project.edit("top_k: 1", "top_k: 3")
    await project.run()
    assert project.calls() == []  # every call is in the ledger
    assert project.manifest("answers").calls["expert (echo-1)"].reused == 6


async def test_a_changed_filter_costs_no_call(project: Project) -> None:
    await project.run()
    project.edit("text: XXX", "text: rack")
    assert project.reasons()["kept"] == "text: 'XXX' -> 'rack'"
    runner = await project.run()
    assert [step.id for step in runner.steps.values() if step.state == "done"] == ["kept", "dataset"]
    assert project.calls() == []
    assert len(project.data()) == 3
    assert project.manifest("kept").counts.reasons == {"holds_text": 3}
    check_conservation(project)


async def test_a_changed_input_file_is_named(project: Project) -> None:
    await project.run()
    project.document("b.txt", "a pallet is of plastic\n")
    reasons = project.reasons()
    assert reasons["documents"] == "docs/b.txt changed"
    assert list(reasons) == ["documents", "index", "answers", "kept", "dataset"]
    await project.run()
    assert "words.build" in run_components.HAPPENED
    project.document("c.txt", "a gate is open\n")
    project.document("b.txt", None)
    assert project.reasons()["documents"] == "docs/b.txt removed, docs/c.txt added"


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("edited\n", encoding="utf-8")])
async def test_a_dataset_that_is_gone_or_was_edited_is_written_again(
    project: Project, change: Callable[[Path], object]
) -> None:
    await project.run()
    before = project.data()
    change(Path("out/data.txt"))
    assert project.reasons() == {"dataset": "out/data.txt is gone or was changed"}
    await project.run()
    assert project.data() == before
    assert project.calls() == []


async def test_a_store_without_its_manifest_is_not_done(project: Project) -> None:
    await project.run()
    (project.workspace.step_folder("tiny", "kept") / "manifest.json").unlink()
    assert project.reasons() == {"kept": "not done yet", "dataset": "kept runs"}
    await project.run()
    assert project.reasons() == {}


async def test_from_makes_a_step_and_those_after_it_anew(project: Project) -> None:
    await project.run()
    assert project.reasons(restart="answers") == dict.fromkeys(("answers", "kept", "dataset"), "asked for by --from")
    await project.run(restart="answers")
    assert project.calls() == []


async def test_until_runs_what_the_step_needs_and_no_more(project: Project) -> None:
    runner = await project.run(until="questions")
    assert list(runner.steps) == ["questions"]
    runner = await project.run(until="answers")
    assert list(runner.steps) == ["documents", "index", "questions", "answers"]
    assert project.data() is None
    with pytest.raises(RecipeError, match=r"--until: no step is called 'answer'\. Did you mean 'answers'\?"):
        project.plan(until="answer")


def test_from_a_step_that_until_leaves_out_is_an_error(project: Project) -> None:
    with pytest.raises(RecipeError, match="--from: step 'answers' is not needed for 'questions', the last one to run"):
        project.plan(until="questions", restart="answers")


async def test_a_preview_is_apart_from_the_full_run(project: Project) -> None:
    await project.run()
    full = project.data()
    project.edit("askers: [Ann, Ben, Cem]", "askers: [Dan, Ann, Ben, Cem]")
    runner = await project.run(limit=4)
    assert [step.state for step in runner.steps.values()] == ["reused", "reused", "done", "done", "done", "done"]
    assert project.data() == full
    preview = Path(project.manifest("dataset", preview=True).artifact.path)
    assert preview == project.workspace.step_folder("tiny", "dataset", True) / "data.txt"
    asked = project.data(str(preview)) or []
    assert [line.split(":")[0] for line in asked] == ["Dan", "Dan", "Ann", "Ann"]
    assert project.calls() == [f"call 질문: Dan: what is a {word} ?" for word in ("dock", "rack")]
    assert project.reasons(limit=4) == {}
    assert project.reasons(limit=2)["questions"] == "limit: 4 -> 2"
    project.edit("[Dan, Ann, Ben, Cem]", "[Ann, Ben, Cem]")
    assert project.reasons() == {}


async def test_a_preview_starts_no_task_that_it_has_no_room_for(project: Project) -> None:
    names = ", ".join(f"N{number}" for number in range(20))
    project.edit("{use: askers, askers: [Ann, Ben, Cem]}", f"{{use: model-askers, askers: [{names}], model: expert}}")
    await project.run(limit=3, until="questions")
    assert project.calls() == [f"call N{number} asks about a dock" for number in range(3)]


async def test_answers_start_before_the_questions_end(project: Project) -> None:
    run_components.GATES["more"] = run_components.GATES["질문: Ann: what is a dock ?"] = asyncio.Event()
    async with asyncio.timeout(5):  # the askers go on only when Ann's first question is being answered
        runner = await project.run()
    assert runner.steps["answers"].counts.out == 6


async def test_a_corpus_filter_between_plain_ones(project: Project) -> None:
    project.edit(
        "use: [{use: without, text: XXX}]",
        "use: [{use: without, text: Ann, mark: '!'}, distinct, {use: without, text: rack}]",
    )
    await project.run()
    assert "distinct 4" in run_components.HAPPENED
    assert project.data() == ["Ben: what is a dock ? -> Answer to 질문: Ben: what is a dock ?!"]
    assert project.manifest("kept").counts.reasons == {"holds_text": 3, "twin": 2}
    details = [rejected.detail for rejected in read_rejected(project.workspace.step_folder("tiny", "kept"))]
    assert details == ["without: Ann"] * 2 + ["distinct: "] * 2 + ["without: rack"]
    assert run_components.HAPPENED.count("rejected kept twin") == 2
    check_conservation(project)


async def test_contents_met_twice_are_kept_once_and_broken_files_reported(project: Project) -> None:
    project.document("c.txt", "a rack holds pallets\na pallet is of wood\n")
    project.document("d.txt", "fine\nBROKEN\n")
    await project.run(until="documents")
    counts = project.manifest("documents").counts
    assert (counts.read, counts.failed, counts.made, counts.out) == (4, 1, 5, 3)
    assert counts.reasons == {"duplicate_content": 2, "unreadable": 1}
    rejected = list(read_rejected(project.workspace.step_folder("tiny", "documents")))
    assert rejected[0].detail == "the same text as docs/a.txt, row 2"
    assert (rejected[2].id, rejected[2].detail) == ("docs/d.txt", "docs/d.txt is broken")
    check_conservation(project, until="documents")


async def test_two_sources_are_read_one_after_the_other(project: Project) -> None:
    project.edit("  answers:", "  more: {use: askers, askers: [Zoe], words: [pallet]}\n  answers:")
    project.edit("from: questions", "from: [more, questions]")
    await project.run()
    assert [line.split(":")[0] for line in project.data()] == ["Zoe", "Ann", "Ann", "Ben", "Ben", "Cem", "Cem"]
    assert project.manifest("answers").counts.read == 7
    assert list(project.manifest("answers").inputs) == ["more", "questions", "index"]
    check_conservation(project)


async def test_a_torn_index_is_built_again_with_a_warning(project: Project) -> None:
    await project.run()
    (project.workspace.step_folder("tiny", "index") / "words.json").write_text("[{", encoding="utf-8")
    project.edit("top_k: 3", "top_k: 2")
    await project.run()
    warnings = project.events("warning")
    assert warnings == [{"step": "index", "message": "the index is built again: the index is torn"}]
    assert "words.build" in run_components.HAPPENED


async def test_a_model_may_open_another_model(project: Project) -> None:
    project.edit("expert: {use: echo}", "expert: {use: echo, fallback: spare}\n  spare: {use: echo, model: echo-2}")
    async with asyncio.timeout(5):
        await project.run()
    assert len(project.data()) == 6
