"""`wmsforge peek`: rows for reading, from whatever a step left."""

import json
import re

import pytest
from cli_project import Project

PEEK = ("peek", "recipe.yaml")


def test_an_answer_shows_its_question_its_sources_and_on_request_their_texts(finished: Project) -> None:
    out, _ = finished.run(*PEEK, "answers", "-n", "1", "--passages")
    head, reasons, *lines = out.splitlines()
    assert re.fullmatch(r"answers: 20 in, 18 out, 2 rejected; run \S+, \S+Z, [\d.]+ s", head)
    assert reasons == "rejected: refused 2"
    assert re.fullmatch(r"\[1\] [0-9a-f]{16}", lines[1])
    assert lines[2:] == [
        "김영수 / 중소 물류센터 관리자 - tests - beginner - numbered",
        "Q  Question 0?",
        "A  Answer to: Question 0?",
        "expert",
        " *1 docs/a.txt > Top [0:41] 1.000",
        "   Receiving takes at most",
        "   \ufffd[31m4 hours\ufffd[0m.",
        "  2 docs/b.txt > Top [0:21] 0.500",
        "   Picking goes by zone.",
    ]


def test_rejected_rows_say_why_and_what_the_model_gave(finished: Project) -> None:
    out, _ = finished.run(*PEEK, "answers", "--rejected", "-n", "1")
    assert "rejected: refused: it holds '7?'\n" in out
    assert "Q  Question 7?\nwhat came back:\n   Answer to: Question 7?\n" in out
    out, _ = finished.run(*PEEK, "kept", "--reason", "bad_ending", "-n", "9")
    assert re.findall(r"Q  (.*)", out) == ["Question 5?", "Question 15?"]
    assert "rejected: bad_ending: ending: it ends with '5?'\n" in out
    out, _ = finished.run(*PEEK, "kept", "--reason", "other")
    assert out.endswith("No rejected record to show.\n")


def test_a_row_is_found_by_the_id_of_its_question(finished: Project) -> None:
    question = json.loads(finished.run(*PEEK, "questions", "--json", "-n", "4")[0].splitlines()[3])
    for step in ("questions", "answers", "kept"):
        out, _ = finished.run(*PEEK, step, "--id", question["id"][:10])
        assert re.findall(r"Q  (.*)", out) == ["Question 3?"], step


def test_a_random_choice_can_be_repeated(finished: Project) -> None:
    out, _ = finished.run(*PEEK, "questions", "-n", "4", "--random")
    seed = re.search(r"--random (\d+)", out)
    assert seed
    again, _ = finished.run(*PEEK, "questions", "-n", "4", "--random", seed[1])
    assert re.findall(r"Q  (.*)", again) == re.findall(r"Q  (.*)", out)
    assert len(re.findall(r"Q  (.*)", out)) == 4


def test_json_is_whole_and_safe_on_a_terminal(finished: Project) -> None:
    out, _ = finished.run(*PEEK, "documents", "--json")
    assert "\x1b" not in out
    assert [json.loads(line)["text"] for line in out.splitlines()] == [
        "Receiving takes at most\n\x1b[31m4 hours\x1b[0m.",
        "Picking goes by zone.",
    ]


def test_a_dataset_shows_its_facts_and_rows(finished: Project) -> None:
    out, _ = finished.run(*PEEK, "dataset", "-n", "1")
    assert "dataset: out/data.json\n  rows: 16\n" in out
    assert "user: Question 0?\nassistant: Answer to: Question 0?\n *1 docs/a.txt > Top [0:41] 1.000\n" in out


def test_an_index_shows_its_facts_and_has_no_rejected_rows(finished: Project) -> None:
    out, _ = finished.run(*PEEK, "index")
    assert "  passages: 2\n" in out
    _, err = finished.run(*PEEK, "index", "--rejected", code=2)
    assert "Step 'index' makes no records, so it rejects none." in err


def test_the_name_does_for_the_file_and_no_plugin_is_needed(finished: Project) -> None:
    finished.environment["WMSFORGE_PLUGINS"] = ""
    try:
        out, _ = finished.run("peek", "tests", "answers", "-n", "1")
    finally:
        finished.environment["WMSFORGE_PLUGINS"] = "cli-test-plugin"
    assert "Q  Question 0?" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("peek", "recipe.yaml", "answer"),
            "Step 'answer' left nothing in 'recipe.yaml'. Did you mean 'answers'?\n"
            "These did: documents, index, questions, answers, kept, dataset.\n",
        ),
        (
            ("peek", "test", "answers"),
            "'test' is no file, and no recipe of the workspace .wmsforge. Did you mean 'tests'?\n"
            "The recipes here: tests.\n",
        ),
        (
            ("peek", "recipe.yaml", "answers", "--preview"),
            "No step of the preview of 'recipe.yaml' was run yet.\nRun it: wmsforge run recipe.yaml --limit 3\n",
        ),
        (
            ("peek", "tests", "answers", "--workspace", "elsewhere"),
            "'tests' is no file, and no recipe of the workspace elsewhere.\nNo recipe was run there yet.\n",
        ),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_what_is(
    finished: Project, arguments: tuple[str, ...], message: str
) -> None:
    _, err = finished.run(*arguments, code=2)
    assert err.endswith(message)


def test_a_running_step_can_be_looked_at(project: Project) -> None:
    project.run("run", "recipe.yaml")
    project.write_recipe(delay_s=0.2, count=400)
    process = project.start("run", "recipe.yaml", "--set", "steps.answers.refuse=x")
    project.wait_for(lambda: len(project.calls()) >= 30, process)
    out, _ = project.run(*PEEK, "answers", "-n", "1")
    assert out.startswith("answers is not finished: it is running, was stopped or failed.")
    assert "The finished ones of an earlier run are in .wmsforge/tests/steps/answers.\n" in out
    assert "Q  Question 0?" in out
