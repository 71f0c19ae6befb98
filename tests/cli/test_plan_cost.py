"""`wmsforge plan` quotes calls, tokens and cost as intervals, and what a run then really takes is inside of them."""

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from cli_project import Project
from mock_openai import subprocess_server

RECIPE = """\
name: quoted
language: ko
models:
  customer: {{use: openai-compatible, base_url: "{base_url}", model: flash, price: {{input: 0.75, output: 3.75}}}}
  expert: {{use: openai-compatible, base_url: "{base_url}", model: solar, price: {{input: 2.5, output: 8.0}}}}
steps:
  documents: {{use: texts, path: docs}}
  index: {{use: whole, from: documents}}
  questions: {{use: personas, model: customer, personas: personas.yaml, topics: [입고, 출고, 반품, 재고], per_topic: 3}}
  answers: {{use: rag, from: questions, retriever: index, model: expert, max_tokens: 400}}
  kept: {{use: ending, from: answers}}
  dataset: {{use: messages-json, from: kept, path: out/data.json}}
"""
PERSONAS = """\
personas:
  - {name: 김영수, role: 물류센터 관리자, concerns: [재고 정확도, 인건비]}
  - {name: 이수진, role: IT 담당자, background: 기존 시스템과 연동을 맡고 있습니다., concerns: [API]}
  - {name: 박민호, role: 현장 작업자, question_style: 짧게 묻습니다.}
"""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with subprocess_server() as url:
        yield url


@pytest.fixture
def quoted(project: Project, base_url: str) -> Project:
    project.environment["WMSFORGE_PLUGINS"] += ",wmsforge-openai"
    (project.folder / "personas.yaml").write_text(PERSONAS, encoding="utf-8")
    (project.folder / "recipe.yaml").write_text(RECIPE.format(base_url=base_url), encoding="utf-8")
    for number in range(6):
        text = f"{number}번 구역의 재고 실사 절차는 다음과 같습니다. " * (3 + 4 * number)
        (project.folder / f"docs/{number}.txt").write_text(text, encoding="utf-8")
    return project


def started(base_url: str) -> int:
    with urllib.request.urlopen(base_url.removesuffix("/v1") + "/stats", timeout=10) as response:
        return int(json.load(response)["started"])


def paid(project: Project) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = project.json("status", "--json")["recipes"][0]["paid"]
    return found


def assert_inside(plan: dict[str, Any], real: dict[str, dict[str, Any]], before: dict[str, dict[str, Any]]) -> None:
    """Check every figure of a plan against what the run paid, apart from what was paid before."""
    for quote in plan["quotes"]:
        its, old = real[quote["model"]], before.get(quote["model"], {})
        took = {name: its[name] - old.get(name, 0) for name in its}
        figures = {
            "calls": took["calls"] + took["attempts"],
            "prompt_tokens": took["prompt_tokens"],
            "answer_tokens": took["completion_tokens"],
            "usd": took["cost_usd"],
        }
        for name, figure in figures.items():
            low, high = quote[name]
            assert low <= figure <= high, f"{quote['step']} {name}: {figure} is not in {low}-{high}"


def test_without_a_sample_components_say_what_they_expect_and_the_run_is_inside(quoted: Project, base_url: str) -> None:
    asked = started(base_url)
    plan = quoted.json("plan", "recipe.yaml", "--json")
    assert started(base_url) == asked, "planning calls no one"
    assert not (quoted.folder / ".wmsforge").exists()
    assert [(quote["step"], quote["model"]) for quote in plan["quotes"]] == [
        ("questions", "customer (flash)"),
        ("answers", "expert (solar)"),
    ]
    questions, answers = plan["quotes"]
    assert questions["calls"] == [12, 36], "3 personas, 4 topics, 3 rounds at most"
    assert answers["calls"] == [12, 36], "of 1 to 3 questions a topic"
    quoted.run("run", "recipe.yaml")
    assert_inside(plan, paid(quoted), {})
    low, high = plan["total"]["usd"]
    assert low <= sum(its["cost_usd"] for its in paid(quoted).values()) <= high


def test_a_sample_is_paid_once_and_makes_intervals_tighter_with_the_run_inside(quoted: Project, base_url: str) -> None:
    wide = quoted.json("plan", "recipe.yaml", "--json")
    asked = started(base_url)
    tight = quoted.json("plan", "recipe.yaml", "--sample", "5", "--json")
    sample = paid(quoted)
    assert tight["sample"]["limit"] == 5
    assert tight["sample"]["calls"] == started(base_url) - asked == sum(its["calls"] for its in sample.values())
    assert tight["sample"]["usd"] == pytest.approx(sum(its["cost_usd"] for its in sample.values()))
    assert _width(tight) < 0.5 * _width(wide)

    again = quoted.json("plan", "recipe.yaml", "--sample", "5", "--json")
    assert again["sample"]["calls"] == 0, "the ledger has the sample"
    assert [quote["usd"] for quote in again["quotes"]] == [quote["usd"] for quote in tight["quotes"]]

    quoted.run("run", "recipe.yaml")
    assert_inside(tight, paid(quoted), sample)
    unique = sum(its["calls"] for its in paid(quoted).values())
    assert started(base_url) - asked == unique, "the run does not pay for the sample again"


def _width(plan: dict[str, Any]) -> float:
    low, high = plan["total"]["usd"]
    return float(high - low)


def test_a_step_that_is_reused_costs_nothing_and_says_how_many_come(quoted: Project) -> None:
    quoted.run("run", "recipe.yaml", "--until", "questions")
    plan = quoted.json("plan", "recipe.yaml", "--json")
    (answers,) = plan["quotes"]
    steps = quoted.json("status", "--json")["recipes"][0]["steps"]
    count = next(step["out"] for step in steps if step["id"] == "questions")
    assert answers["calls"] == [count, count]
    quoted.run("run", "recipe.yaml")
    assert quoted.json("plan", "recipe.yaml", "--json")["quotes"] == []
    out, _ = quoted.run("plan", "recipe.yaml")
    assert out.splitlines()[-1] == "0 steps of 6 would run."


def test_the_table_has_a_row_a_step_and_model_and_the_total(quoted: Project) -> None:
    out, _ = quoted.run("plan", "recipe.yaml", "--set", "budget.usd=50")
    lines = out.splitlines()
    table = [re.split(r"  +", line) for line in lines[lines.index("") + 1 :]]
    assert table[0] == ["step", "model", "calls", "tokens", "cost"]
    assert table[1][:3] == ["questions", "customer (flash)", "12-36"]
    assert table[2][:3] == ["answers", "expert (solar)", "12-36"]
    assert table[3][:2] == ["total", "24-72"]
    assert re.fullmatch(r"\d\.\d{4}-\d\.\d{4} USD", table[3][-1])
    assert "budget: 50.0000 of 50.00 USD left, enough for this run" in lines


@pytest.mark.parametrize(
    ("usd", "told"),
    [
        ("0.0001", "budget: 0.0001 of 0.00 USD left, not enough: the run will park"),
        ("0.1", "budget: 0.1000 of 0.10 USD left, perhaps not enough; the run parks when it is used up"),
    ],
)
def test_a_budget_that_may_not_be_enough_is_told(quoted: Project, usd: str, told: str) -> None:
    out, _ = quoted.run("plan", "recipe.yaml", "--set", f"budget.usd={usd}")
    assert told in out.splitlines()


def test_what_is_left_costs_what_the_quote_of_it_says(quoted: Project) -> None:
    quoted.run("run", "recipe.yaml", "--set", "budget.requests=20", code=5)
    plan = quoted.json("plan", "recipe.yaml", "--json")
    stored = sum(quote["stored_calls"] for quote in plan["quotes"])
    assert 0 < stored <= 20
    out, _ = quoted.run("plan", "recipe.yaml")
    assert "stored)" in out
    assert "Stored calls cost nothing again" in out
    parked = paid(quoted)
    quoted.run("run", "recipe.yaml")
    assert_inside(plan, paid(quoted), parked)


def test_what_a_component_does_not_tell_is_unknown(project: Project) -> None:
    project.write_recipe()
    plan = project.json("plan", "recipe.yaml", "--json")
    (answers,) = plan["quotes"]
    assert (answers["calls"], answers["usd"]) == ([0, None], None)
    out, _ = project.run("plan", "recipe.yaml")
    assert re.search(r"^answers +expert +unknown +unknown +price unknown$", out, re.MULTILINE)
    assert "The price of expert is unknown. Say it: --set 'models.expert.price={input: 0.5, output: 2}'" in out


def test_a_component_of_a_plugin_tells_what_it_expects(project: Project) -> None:
    project.run("run", "recipe.yaml", "--until", "questions")
    plan = project.json("plan", "recipe.yaml", "--set", "steps.answers.use=ask-and-tell", "--json")
    (answers,) = plan["quotes"]
    assert answers["calls"] == [20, 20]
    assert answers["answer_tokens"] == [20, 20 * 500]
    assert answers["prompt_tokens"] == [pytest.approx(20 * 5 * 0.3), pytest.approx(20 * (40 * 2 + 100))]


def test_a_component_that_fails_to_tell_is_named(project: Project) -> None:
    _, err = project.run("plan", "recipe.yaml", "--set", "steps.answers.use=ask-and-fail", code=4)
    assert err.startswith("recipe.yaml:9: step 'answers': 'ask-and-fail' failed to say what it expects to ask: Zero")
    assert "Traceback" not in err


def test_a_sample_measures_what_a_component_does_not_tell(project: Project) -> None:
    project.run("run", "recipe.yaml", "--until", "questions")
    price = "models.expert.price={input: 1000, output: 3000}"
    plan = project.json("plan", "recipe.yaml", "--sample", "4", "--set", price, "--json")
    (answers,) = plan["quotes"]
    assert answers["usd"] == [pytest.approx(16 * 0.05), pytest.approx(20 * 0.05)], "4 of 20 are paid by the sample"
    assert plan["sample"] == {"limit": 4, "calls": 4, "usd": pytest.approx(0.2)}
    assert len(project.calls()) == 4


def test_a_sample_of_nothing_to_call_says_so(finished: Project) -> None:
    out, err = finished.run("plan", "recipe.yaml", "--sample", "3")
    assert "Nothing to sample: no step that would run calls a model." in err
    assert out.splitlines()[-1] == "0 steps of 6 would run."


def test_a_sample_and_a_limit_exclude_each_other(finished: Project) -> None:
    _, err = finished.run("plan", "recipe.yaml", "--sample", "3", "--limit", "3", code=2)
    assert "--sample is a preview itself" in err
