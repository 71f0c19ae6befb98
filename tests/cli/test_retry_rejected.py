"""`wmsforge run --retry-rejected`: just the records that failed for a reason are tried again, the rest cost nothing."""

import json
import signal

from cli_project import Project

MOODY = ("--set", "models.expert.moody=moods")
"""The tests' model then gives bad answers to questions in which one of the file's words stands."""


def moods(project: Project, *words: str) -> None:
    (project.folder / "moods").write_text("\n".join(words), encoding="utf-8")


def rejected(project: Project, step: str) -> dict[str, int]:
    status = project.json("status", "--json")["recipes"][0]
    found: dict[str, int] = next(each for each in status["steps"] if each["id"] == step)["reasons"]
    return found


def test_only_what_failed_for_the_reason_is_asked_again(project: Project) -> None:
    moods(project, "empty:3?", "refuse:11?")
    command = ("run", "recipe.yaml", *MOODY)
    project.run(*command)
    before = rejected(project, "answers")
    assert before["empty"] == 2, "questions 3 and 13"
    assert before["refusal"] == 1

    moods(project)
    calls = len(project.calls())
    _, err = project.run(*command, "--retry-rejected", "empty")
    assert "answers started (answer_generator/ask): tries rejected records again (empty 2)" in err
    assert sorted(project.calls()[calls:]) == ["Question 13?", "Question 3?"]
    assert rejected(project, "answers") == {"refusal": 1, "refused": 2}
    rows = json.loads((project.folder / "out/data.json").read_text(encoding="utf-8"))
    assert len(rows) == 20 - 1 - 2 - 2, "without the refusal, those with 7? and, by the filter, those with 5?"

    project.run(*command, "--retry-rejected", "refusal", "--retry-rejected", "refused")
    assert sorted(project.calls()[calls + 2 :]) == ["Question 11?", "Question 17?", "Question 7?"]
    assert rejected(project, "answers") == {"refused": 2}


def test_what_was_tried_twice_is_paid_twice_and_said_so(project: Project) -> None:
    moods(project, "empty:3?")
    command = ("run", "recipe.yaml", *MOODY, "--set", "models.expert.price={input: 1000, output: 3000}")
    project.run(*command)
    moods(project)
    out, _ = project.run(*command, "--retry-rejected", "empty")
    assert "cost 1.1000 USD; of this run: 0.1000 USD" in out.splitlines()


def test_a_step_that_stopped_for_too_many_rejects_can_try_them_again(project: Project) -> None:
    moods(project, "empty:?")
    command = ("run", "recipe.yaml", *MOODY)
    project.run(*command, code=4)
    moods(project)
    calls = len(project.calls())
    project.run(*command, "--retry-rejected", "empty")
    assert len(project.calls()) == calls + 20
    assert rejected(project, "answers") == {"refused": 2}


def test_a_retry_that_was_stopped_goes_on_with_the_same_command_and_pays_nothing_twice(project: Project) -> None:
    project.write_recipe(count=60)
    moods(project, "empty:?")
    command = ("run", "recipe.yaml", *MOODY, "--set", "max_rejected_share=1", "--set", "models.expert.delay_s=0.05")
    project.run(*command, code=4)
    moods(project)
    calls = len(project.calls())
    process = project.start(*command, "--retry-rejected", "empty")
    project.wait_for(lambda: len(project.calls()) >= calls + 12, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    project.run(*command, "--retry-rejected", "empty")
    asked = project.calls()[calls:]
    assert len(set(asked)) == 60
    assert len(asked) <= 60 + 4, "only the calls in flight may be made again"


def test_a_finished_step_whose_retry_was_stopped_is_not_taken_for_done(project: Project) -> None:
    moods(project, "empty:3?")
    command = ("run", "recipe.yaml", *MOODY)
    project.run(*command)
    moods(project)
    slow = ("--set", "models.expert.delay_s=5")
    process = project.start(*command, *slow, "--retry-rejected", "empty")
    project.wait_for(lambda: (project.folder / ".wmsforge/tests/steps/answers.partial").is_dir(), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    project.run(*command)
    assert rejected(project, "answers") == {"refused": 2}


def test_a_reason_that_no_record_has_lists_those_there_are(project: Project) -> None:
    moods(project, "empty:3?")
    project.run("run", "recipe.yaml", *MOODY)
    _, err = project.run("run", "recipe.yaml", *MOODY, "--retry-rejected", "emtpy", code=2)
    assert err.splitlines()[0] == (
        "recipe.yaml  --retry-rejected: no record was rejected for 'emtpy'. Did you mean 'empty'? "
        "The reasons there are: empty (2 of answers), refused (2 of answers)."
    )


def test_what_a_filter_decided_is_not_tried_again(project: Project) -> None:
    project.run("run", "recipe.yaml")
    calls = len(project.calls())
    _, err = project.run("run", "recipe.yaml", "--retry-rejected", "bad_ending", code=2)
    assert "'bad_ending' is what the filter step 'kept' decided, and it would decide the same again." in err
    assert len(project.calls()) == calls


def test_before_any_run_there_is_nothing_to_try_again(project: Project) -> None:
    _, err = project.run("run", "recipe.yaml", "--retry-rejected", "empty", code=2)
    assert "no record was rejected for 'empty', nor for any other reason" in err
    assert not (project.folder / ".wmsforge").exists()


def test_a_preview_tries_its_own_rejected_records_again(project: Project) -> None:
    moods(project, "empty:1?")
    project.run("run", "recipe.yaml", *MOODY, "--limit", "3")
    moods(project)
    calls = len(project.calls())
    project.run("run", "recipe.yaml", *MOODY, "--limit", "3", "--retry-rejected", "empty")
    assert project.calls()[calls:] == ["Question 1?"]


def test_the_raw_answer_of_a_rejected_record_is_kept_and_shown(project: Project) -> None:
    project.run("run", "recipe.yaml")
    out, _ = project.run("peek", "recipe.yaml", "answers", "--reason", "refused", "-n", "1")
    assert "what came back:" in out
    assert "Answer to: Question 7?" in out
