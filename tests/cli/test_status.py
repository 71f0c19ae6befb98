"""`wmsforge status`: what is in a workspace and who works there."""

import re
import signal
from pathlib import Path

from cli_project import Project


def test_status_lists_steps_with_their_counts_in_the_order_of_the_recipe(finished: Project) -> None:
    out, _ = finished.run("status", "recipe.yaml")
    lines = out.splitlines()
    assert re.fullmatch(r"workspace \.wmsforge: not in use; ledger: 20 calls, \d\.\d MB", lines[0])
    assert re.fullmatch(r"tests: last run \S+, finished \(last event \S+Z\)", lines[2])
    steps = ["documents", "index", "questions", "answers", "kept", "dataset"]
    assert [line.split()[0] for line in lines[4:-1]] == steps
    assert re.match(r"answers +ask +done +20 +18 +2 +20 +600 +unknown ", lines[7])
    assert lines[-1] == "all runs: 20 calls, 600 tokens, cost unknown"


def test_status_as_json_has_every_recipe_of_the_workspace(finished: Project) -> None:
    facts = finished.json("status", "--json")
    assert facts["in_use_by"] is None
    assert facts["ledger"]["calls"] == 20
    (recipe,) = facts["recipes"]
    assert (recipe["name"], recipe["last_run"]["state"]) == ("tests", "finished")
    answers = next(step for step in recipe["steps"] if step["id"] == "answers")
    assert answers["reasons"] == {"refused": 2}
    assert answers["calls"]["expert"]["calls"] == 20


def test_an_empty_workspace_is_no_error_and_is_not_made(project: Project) -> None:
    out, _ = project.run("status")
    assert "No recipe was run here yet." in out
    assert not (project.folder / ".wmsforge").exists()


def test_status_tells_a_run_that_goes_on_from_one_that_was_killed(project: Project) -> None:
    project.write_recipe(delay_s=0.2, count=100)
    process = project.start("run", "recipe.yaml")
    project.wait_for(lambda: len(project.calls()) >= 1, process)
    running = project.json("status", "--json")
    assert running["in_use_by"] == f"process {process.pid} (wmsforge run recipe.yaml)"
    assert running["recipes"][0]["last_run"]["state"] == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = project.json("status", "--json")
    assert killed["in_use_by"] is None
    assert killed["recipes"][0]["last_run"]["state"] == "killed"
    states = {step["id"]: (step["state"], step["partial"]) for step in killed["recipes"][0]["steps"]}
    assert states["questions"] == ("done", False)
    assert states["answers"] == ("not finished", True)
    answers = next(step for step in killed["recipes"][0]["steps"] if step["id"] == "answers")
    assert answers["out"] + answers["rejected"] <= 100


def test_previews_are_shown_apart(project: Project) -> None:
    project.run("run", "recipe.yaml", "--limit", "2")
    out, _ = project.run("status")
    assert re.search(r"^tests: last run \S+, a preview of 2, finished", out, re.MULTILINE)
    assert re.search(r"^documents +texts +done", out, re.MULTILINE)
    assert re.search(r"^answers \(preview\) +ask +done +2 +2 +0", out, re.MULTILINE)
    assert not Path(project.folder, ".wmsforge/tests/steps/answers").exists()
