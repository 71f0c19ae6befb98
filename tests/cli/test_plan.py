"""`wmsforge plan`: what would run and why, without running it."""

import re

from cli_project import Project


def test_a_new_recipe_runs_whole_and_planning_writes_nothing(project: Project) -> None:
    out, _ = project.run("plan", "recipe.yaml")
    lines = [re.split(r"  +", line.strip()) for line in out.splitlines()]
    assert lines[0] == ["step", "component", "action", "why"]
    assert lines[4] == ["answers", "ask", "run", "not done yet"]
    assert lines[7] == ["6 steps of 6 would run."]
    assert not (project.folder / ".wmsforge").exists()


def test_what_changed_is_named_and_the_rest_is_reused(finished: Project) -> None:
    plan = finished.json("plan", "recipe.yaml", "--set", "steps.kept.drop=3?", "--json")
    assert {step["id"]: (step["run"], step["why"]) for step in plan["steps"]} == {
        "documents": (False, ""),
        "index": (False, ""),
        "questions": (False, ""),
        "answers": (False, ""),
        "kept": (True, "drop: '5?' -> '3?'"),
        "dataset": (True, "kept changed"),
    }


def test_a_preview_and_until_are_planned_as_they_would_run(finished: Project) -> None:
    plan = finished.json("plan", "recipe.yaml", "--limit", "2", "--until", "answers", "--json")
    assert plan["limit"] == 2
    assert {step["id"]: (step["run"], step["preview"]) for step in plan["steps"]} == {
        "documents": (False, False),
        "index": (False, False),
        "questions": (True, True),
        "answers": (True, True),
    }


def test_an_unknown_step_is_an_error_with_the_close_one(finished: Project) -> None:
    _, err = finished.run("plan", "recipe.yaml", "--until", "answer", code=2)
    assert "--until: no step is called 'answer'. Did you mean 'answers'?" in err
