"""A run that parks: its exit code, what it says, what `status` says, and the same command going on."""

import re

from cli_project import Project

PRICED = ("--set", "models.expert.price={input: 1000, output: 3000}")
"""Every call of the tests' model then costs 0.05 USD: 20 tokens in, 10 out."""


def test_a_budget_that_is_used_up_parks_the_run_and_a_higher_one_goes_on(project: Project) -> None:
    command = ("run", "recipe.yaml", *PRICED, "--set", "models.expert.concurrency=1", "--set", "budget.requests=8")
    _, err = project.run(*command, code=5)
    assert len(project.calls()) == 8
    assert "The budget of recipe.yaml is used up: 8 of 8 requests are spent" in err
    last = err.splitlines()[-1]
    assert last.startswith("Continue: python -m wmsforge run recipe.yaml ")
    assert last.endswith(" --set budget.requests=8 --set budget.requests=16")

    _, again = project.run(*command, code=5)
    assert "8 of 8 requests are spent" in again
    assert len(project.calls()) == 8, "what is used up stays used up"

    project.run(*command, "--set", "budget.requests=20")
    assert len(project.calls()) == len(set(project.calls())) == 20


def test_status_says_that_a_run_is_parked_and_why(project: Project) -> None:
    project.run("run", "recipe.yaml", "--set", "budget.tokens=0", code=5)
    run = project.json("status", "--json")["recipes"][0]["last_run"]
    assert (run["state"], run["parked_until"]) == ("parked", None)
    out, _ = project.run("status")
    assert re.search(r"^tests: last run \S+, parked \(last event ", out, re.MULTILINE)
    assert "The budget of recipe.yaml is used up" in out


def test_a_days_requests_park_the_run_until_the_providers_midnight(project: Project) -> None:
    project.environment |= {"TZ": "UTC"}
    more = ("--set", "models.expert.requests_per_day=5", "--set", "models.expert.day_starts_in=Asia/Seoul")
    _, err = project.run("run", "recipe.yaml", *more, code=5)
    assert len(project.calls()) == 5
    assert re.search(r"^Parked until \d{4}-\d\d-\d\d 15:00 UTC\.$", err, re.MULTILINE), err
    assert "Continue: python -m wmsforge run recipe.yaml --set models.expert.requests_per_day=5" in err
    out, _ = project.run("status")
    assert re.search(r"^tests: last run \S+, parked until \S+ 15:00 UTC \(last event ", out, re.MULTILINE)


def test_calls_in_flight_end_and_are_stored_when_a_run_parks(project: Project) -> None:
    project.write_recipe(delay_s=0.3)
    project.run("run", "recipe.yaml", "--set", "models.expert.requests_per_day=10", code=5)
    assert len(project.calls()) == 10, "a call that is cut off writes no line"
    assert project.json("status", "--json")["ledger"]["calls"] == 10


def test_the_reset_is_told_in_the_time_of_the_place_too(project: Project) -> None:
    project.environment |= {"TZ": "Asia/Seoul"}
    more = ("--set", "models.expert.requests_per_day=5", "--set", "models.expert.day_starts_in=Asia/Seoul")
    _, err = project.run("run", "recipe.yaml", *more, code=5)
    assert re.search(r"^Parked until \S+ 00:00 KST \(\S+ 15:00 UTC\)\.$", err, re.MULTILINE), err
