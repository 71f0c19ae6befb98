"""Fingerprints: what changes the identity of a step's output, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_components import Files, Length, Rag

from wmsforge.errors import RecordError, StepError
from wmsforge.recipe.fingerprint import fingerprint, step_identity
from wmsforge.recipe.model import Recipe

RECIPE = """\
name: prints
seed: 1
models:
  expert: {use: echo, model: echo-1, base_url: "${ADDRESS:-http://a}", api_key: "${KEY:-k}", concurrency: 4}
  spare: {use: echo, model: echo-1}
  other: {use: echo, model: echo-2}
steps:
  documents: {use: files, path: data}
  index: {use: index, from: documents, embedder: {use: unit, dimension: 4}}
  questions: {use: ask, model: other, topics: [a, b]}
  answers: {use: rag, from: questions, retriever: index, model: expert, judge: {use: length, min_chars: 5}}
  kept: {use: [length, grounded], from: answers}
  dataset: {use: rows, from: kept, path: out.json}
"""
Load = Callable[..., Recipe]


def identities(recipe: Recipe) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    prints: dict[str, str] = {}
    for step in recipe.steps.values():
        found[step.id] = step_identity(recipe, step, prints, None)
        prints[step.id] = fingerprint(found[step.id])
    return found


def changed(load: Load, old: str, new: str, **environ: str) -> list[str]:
    """Return the steps whose fingerprint another recipe or environment changes."""
    assert not old or RECIPE.count(old) == 1
    before, after = identities(load(RECIPE)), identities(load(RECIPE.replace(old, new), environ=environ))
    return [id for id in before if fingerprint(before[id]) != fingerprint(after[id])]


AFTER_ANSWERS = ["answers", "kept", "dataset"]
ALL = ["documents", "index", "questions", *AFTER_ANSWERS]


@pytest.mark.parametrize(
    ("old", "new", "steps"),
    [
        ("seed: 1", "seed: 2", ALL),
        ("seed: 1", "seed: 1\nlanguage: en", ALL),
        ("path: data", "path: other", ["documents", "index", *AFTER_ANSWERS]),
        ("dimension: 4", "dimension: 5", ["index", *AFTER_ANSWERS]),
        ("topics: [a, b]", "topics: [b, a]", ["questions", *AFTER_ANSWERS]),
        ("model: expert", "model: other", AFTER_ANSWERS),
        ("model: echo-2", "model: echo-3", ["questions", *AFTER_ANSWERS]),
        ("min_chars: 5", "min_chars: 6", AFTER_ANSWERS),
        ("[length, grounded]", "[grounded, length]", ["kept", "dataset"]),
        ("path: out.json", "path: new.json", ["dataset"]),
        ('"${ADDRESS:-http://a}"', "http://b", AFTER_ANSWERS),
    ],
)
def test_what_decides_the_output_changes_the_step_and_all_after_it(
    load: Load, old: str, new: str, steps: list[str]
) -> None:
    assert changed(load, old, new) == steps


@pytest.mark.parametrize(
    ("old", "new", "environ"),
    [
        ("", "", {"KEY": "another"}),
        (', api_key: "${KEY:-k}"', "", {}),
        ("concurrency: 4", "concurrency: 9, max_attempts: 2, timeout_s: 1", {}),
        ("name: prints", "name: renamed", {}),
        ("name: prints", "name: prints\nmax_rejected_share: 0.9", {}),
        ("  spare: {use: echo, model: echo-1}\n", "", {}),
        ("{use: ask, model: other, topics", "{use: tiny/ask, model: other, per_topic: 1, topics", {}),
        ("name: prints", "# said again\nname: prints", {}),
    ],
)
def test_what_does_not_decide_the_output_changes_nothing(
    load: Load, old: str, new: str, environ: dict[str, str]
) -> None:
    before = identities(load(RECIPE))
    after = identities(load(RECIPE.replace(old, new) if old else RECIPE, environ=environ))
    assert before == after


def test_two_models_with_the_same_options_are_the_same(load: Load) -> None:
    one = identities(load(RECIPE.replace("model: expert", "model: spare")))
    two = identities(load(RECIPE.replace("model: expert", "model: {use: echo, model: echo-1}")))
    assert one == two


def test_a_value_from_the_environment_counts_but_is_not_stored(load: Load) -> None:
    assert changed(load, "", "", ADDRESS="http://secret-place") == AFTER_ANSWERS
    stored = json.dumps(identities(load(RECIPE, environ={"ADDRESS": "http://secret-place", "KEY": "hush"})))
    assert "secret-place" not in stored
    assert "hush" not in stored
    assert "from the environment, " in stored


def test_the_bytes_of_an_input_file_count_and_its_time_does_not(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "inputs", lambda self: sorted(self.options.path.glob("*.txt")))
    recipe = load(RECIPE)
    Path("data").mkdir()
    Path("data/a.txt").write_text("one", encoding="utf-8")
    before = identities(recipe)
    assert list(before["documents"]["components"][0]["files"]) == ["data/a.txt"]
    Path("data/a.txt").write_text("one", encoding="utf-8")
    assert identities(recipe) == before
    Path("data/a.txt").write_text("two", encoding="utf-8")
    after = identities(recipe)
    assert [id for id in ALL if fingerprint(before[id]) != fingerprint(after[id])] == [
        "documents",
        "index",
        *AFTER_ANSWERS,
    ]


def test_a_higher_version_of_a_component_counts_wherever_it_is_used(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(RECIPE)
    for component, steps in ((Rag, AFTER_ANSWERS), (Length, AFTER_ANSWERS)):  # Length judges in 'answers', too
        before = identities(recipe)
        monkeypatch.setattr(component, "version", "2")
        after = identities(recipe)
        assert [id for id in ALL if fingerprint(before[id]) != fingerprint(after[id])] == steps


@pytest.mark.parametrize("error", [RecordError("missing", "personas.yaml is not there"), OSError("disk is gone")])
def test_an_input_that_cannot_be_read_names_the_line_and_the_step(
    load: Load, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def inputs(self: Files) -> list[Path]:
        raise error

    monkeypatch.setattr(Files, "inputs", inputs)
    said = "personas.yaml is not there" if isinstance(error, RecordError) else "disk is gone"
    with pytest.raises(StepError, match=f"^recipe.yaml:8: step 'documents' cannot start: {said}"):
        identities(load(RECIPE))


def test_a_preview_is_another_output_than_the_full_run(load: Load) -> None:
    recipe = load(RECIPE)
    step = recipe.steps["questions"]
    prints = {fingerprint(step_identity(recipe, step, {}, limit)) for limit in (None, 5, 6)}
    assert len(prints) == 3


def test_an_identity_is_the_same_after_it_was_stored(load: Load) -> None:
    for identity in identities(load(RECIPE)).values():
        assert json.loads(json.dumps(identity)) == identity


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1}) != fingerprint({"a": 1, "b": [3]})
