"""What calls cost: at the end of a step and of a run, in `status`, in the manifest, and never counted twice."""

import json
import re
import signal
import sqlite3
import urllib.request

import pytest
from cli_project import Project
from mock_openai import subprocess_server

from wmsforge.cli.money import cost, usd
from wmsforge.store.manifest import Paid

PRICED = ("--set", "models.expert.price={input: 1000, output: 3000}")
"""Every call of the tests' model then costs 0.05 USD: 20 tokens in, 10 out."""


def test_each_step_and_the_run_tell_their_cost(project: Project) -> None:
    out, err = project.run("run", "recipe.yaml", *PRICED)
    assert re.search(r"answers done: 20 in, 18 out, 2 rejected, [\d.]+ s, 600 tokens, cost 1\.0000 USD\n", err)
    assert "cost 1.0000 USD; of this run: 1.0000 USD" in out.splitlines()
    events = project.folder.glob(".wmsforge/tests/runs/*/events.jsonl")
    finished = [
        event for event in map(json.loads, next(events).open(encoding="utf-8")) if event.get("step") == "answers"
    ]
    assert finished[-1]["calls"]["expert"]["cost_usd"] == pytest.approx(1.0)
    assert finished[-1]["paid"]["expert"]["cost_usd"] == pytest.approx(1.0)


def test_a_run_that_reuses_all_calls_pays_nothing_and_the_sum_stays(project: Project) -> None:
    project.run("run", "recipe.yaml", *PRICED)
    out, _ = project.run("run", "recipe.yaml", *PRICED, "--set", "steps.answers.refuse=9?")
    assert "cost 1.0000 USD; of this run: nothing" in out.splitlines()
    status, _ = project.run("status")
    assert "all runs: 20 calls, 600 tokens, cost 1.0000 USD" in status
    assert re.search(r"^answers +ask +done +20 +18 +2 +20 +600 +1\.0000 USD ", status, re.MULTILINE)


def test_a_preview_and_the_run_after_it_pay_each_call_once(project: Project) -> None:
    project.run("run", "recipe.yaml", *PRICED, "--limit", "4")
    out, _ = project.run("run", "recipe.yaml", *PRICED)
    assert "cost 1.0000 USD; of this run: 0.8000 USD" in out.splitlines()
    paid = project.json("status", "--json")["recipes"][0]["paid"]
    assert paid["expert"]["calls"] == len(project.calls()) == 20


def test_a_model_of_your_own_is_free_and_needs_no_line(project: Project) -> None:
    out, err = project.run("run", "recipe.yaml", "--set", "models.expert.price=0")
    assert "cost" not in out + err
    assert "all runs: 20 calls, 600 tokens, free" in project.run("status")[0]


def test_a_killed_run_is_counted_once_when_it_goes_on(project: Project) -> None:
    project.write_recipe(delay_s=0.05, count=60)
    command = ("run", "recipe.yaml", *PRICED, "--set", "budget.usd=100")
    process = project.start(*command)
    project.wait_for(lambda: len(project.calls()) >= 12, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = project.start(*command)
    project.wait_for(lambda: len(project.calls()) >= 30, stopped)
    stopped.send_signal(signal.SIGINT)
    _, err = stopped.communicate(timeout=20)
    assert stopped.returncode == 130
    assert re.search(
        r"^cost [\d.]+ USD, and up to [\d.]+ USD for requests whose end no one saw; of this run: ", err, re.M
    )
    project.run(*command)

    paid = project.json("status", "--json")["recipes"][0]["paid"]["expert"]
    assert paid["calls"] == len(set(project.calls())) == 60
    assert paid["cost_usd"] == pytest.approx(60 * 0.05)
    assert len(project.calls()) <= paid["calls"] + paid["attempts"] <= 60 + 2 * 4, "in flight at the kill and the stop"
    answered_twice = len(project.calls()) - 60
    assert paid["attempts"] >= answered_twice
    with sqlite3.connect(project.folder / ".wmsforge/ledger.sqlite") as ledger:
        assert ledger.execute("SELECT count(*) FROM calls").fetchone() == (60,)


SERVED = """\
name: served
budget: {{usd: 100}}
models:
  expert:
    use: openai-compatible
    base_url: "{base_url}"
    model: solar
    concurrency: 4
    price: {{input: 2, output: 8}}
steps:
  documents: {{use: texts, path: docs}}
  index: {{use: whole, from: documents}}
  questions: {{use: numbered, count: 60}}
  answers: {{use: rag, from: questions, retriever: index, model: expert}}
  dataset: {{use: messages-json, from: answers, path: out/data.json}}
"""


def test_the_sums_over_a_kill_are_those_of_the_provider(project: Project) -> None:
    project.environment["WMSFORGE_PLUGINS"] += ",wmsforge-openai"
    with subprocess_server("--latency", "0.1") as base_url:

        def provider() -> dict[str, int]:
            with urllib.request.urlopen(base_url.removesuffix("/v1") + "/stats", timeout=10) as response:
                counts: dict[str, int] = json.load(response)
            return counts

        (project.folder / "recipe.yaml").write_text(SERVED.format(base_url=base_url), encoding="utf-8")
        process = project.start("run", "recipe.yaml")
        project.wait_for(lambda: provider()["finished"] >= 12, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        project.run("run", "recipe.yaml")
        counted = provider()
    (paid,) = project.json("status", "--json")["recipes"][0]["paid"].values()
    assert paid["calls"] == counted["unique"] == 60
    assert counted["started"] <= paid["calls"] + paid["attempts"] <= 60 + 4, "each request once, those of the kill too"
    with sqlite3.connect(project.folder / ".wmsforge/ledger.sqlite") as ledger:
        prompt, answer = ledger.execute("SELECT sum(prompt_tokens), sum(completion_tokens) FROM calls").fetchone()
    assert (paid["prompt_tokens"], paid["completion_tokens"]) == (prompt, answer)
    assert paid["cost_usd"] == pytest.approx((prompt * 2 + answer * 8) / 1e6)
    manifest = json.loads((project.folder / ".wmsforge/served/steps/answers/manifest.json").read_bytes())
    assert list(manifest["paid"].values()) == [paid]


@pytest.mark.parametrize(
    ("paid", "told"),
    [
        ({}, ""),
        ({"a": Paid(calls=3)}, ""),
        ({"a": Paid(calls=3, cost_usd=0.84214)}, "cost 0.8421 USD"),
        ({"a": Paid(calls=3, unpriced=3)}, "cost unknown"),
        (
            {"a (x)": Paid(cost_usd=0.5), "b": Paid(unpriced=2), "c": Paid(calls=2)},
            "cost 0.5000 USD (a 0.5000, b unknown, c 0.0000)",
        ),
        ({"a": Paid(cost_usd=0.5, unpriced=1)}, "cost 0.5000 USD (a 0.5000 and unknown)"),
        (
            {"a": Paid(attempts=1, uncertain_usd=0.002)},
            "cost 0.0000 USD, and up to 0.0020 USD for requests whose end no one saw",
        ),
    ],
)
def test_cost_in_words(paid: dict[str, Paid], told: str) -> None:
    assert cost(paid) == told


def test_a_little_money_is_not_told_as_none() -> None:
    assert (usd(0), usd(0.00001), usd(1234.5)) == ("0.0000 USD", "< 0.0001 USD", "1,234.5000 USD")
