"""Plans: which steps are in, which of them run, and the reasons in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_components import Files

from wmsforge.errors import RecipeError
from wmsforge.files import file_digest
from wmsforge.recipe.model import Recipe
from wmsforge.recipe.plan import Plan, differences, make_plan
from wmsforge.records import Artifact
from wmsforge.store.manifest import Manifest
from wmsforge.store.workspace import Workspace

RECIPE = """\
name: plans
models:
  customer: {use: echo}
  expert: {use: echo, model: big}
  idle: {use: echo, model: idle}
steps:
  documents: {use: files, path: data}
  index: {use: index, from: documents}
  questions: {use: ask, model: customer, per_topic: 2}
  answers: {use: rag, from: questions, retriever: index, model: expert, top_k: 3}
  kept: {use: [length], from: answers}
  dataset: {use: rows, from: kept, path: out.json}
  adapter: {use: tune, from: dataset}
"""
STEPS = ["documents", "index", "questions", "answers", "kept", "dataset", "adapter"]
Load = Callable[..., Recipe]
WORKSPACE = Workspace()


def plan(recipe: Recipe, **options: Any) -> Plan:
    return make_plan(recipe, WORKSPACE, **options)


def reasons(recipe: Recipe, **options: Any) -> Mapping[str, str]:
    return {id: step.reason for id, step in plan(recipe, **options).steps.items() if step.reason}


def do(recipe: Recipe, **options: Any) -> None:
    """Leave the manifests that a run would leave."""
    digests: dict[str, str] = {}
    for step in plan(recipe, **options).steps.values():
        artifact, digest = None, "0"
        if step.step.kind == "exporter":
            Path("out.json").write_text("[]", encoding="utf-8")
            artifact, digest = Artifact(kind="dataset", path="out.json"), file_digest(Path("out.json"))
        if step.step.kind == "trainer":
            artifact = Artifact(kind="adapter", path=str(step.folder))
        Manifest(
            step=step.step.id,
            kind=step.step.kind,
            components=[],
            fingerprint=step.fingerprint,
            identity=dict(step.identity),
            inputs={need: digests[need] for need in step.step.needs()},
            digest=digest,
            artifact=artifact,
        ).write(step.folder)
        digests[step.step.id] = digest


def test_nothing_is_done_at_first_and_all_is_reused_afterwards(load: Load) -> None:
    recipe = load(RECIPE)
    assert reasons(recipe) == dict.fromkeys(STEPS, "not done yet")
    assert plan(recipe).models() == ["customer", "expert"]
    do(recipe)
    assert reasons(recipe) == {}
    assert plan(recipe).models() == []
    assert all(step.manifest is not None for step in plan(recipe).steps.values())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("top_k: 3", "top_k: 5", {"answers": "top_k: 3 -> 5"}),
        ("top_k: 3", "top_k: 5, max_chars: 9", {"answers": "top_k: 3 -> 5, max_chars: 500 -> 9"}),
        ("model: big", "model: small", {"answers": "model: 'big' -> 'small'"}),
        ("[length]", "[{use: length, min_chars: 2}]", {"kept": "min_chars: 1 -> 2"}),
        ("per_topic: 2", "per_topic: 3", {"questions": "per_topic: 2 -> 3", "answers": "questions changed"}),
        ("path: data", "path: new", {"documents": "path: 'data' -> 'new'", "index": "documents changed"}),
        ("path: out.json", "path: b.json", {"dataset": "path: 'out.json' -> 'b.json'", "adapter": "dataset changed"}),
        ("name: plans", "name: plans\nseed: 7", {"documents": "seed: 0 -> 7", "questions": "seed: 0 -> 7"}),
    ],
)
def test_the_reason_says_what_changed(load: Load, old: str, new: str, expected: Mapping[str, str]) -> None:
    do(load(RECIPE))
    found = reasons(load(RECIPE.replace(old, new)))
    assert {id: found[id] for id in expected} == expected
    first = min(STEPS.index(id) for id in expected)
    assert set(STEPS[:first]).isdisjoint(found)
    assert "adapter" in found  # whatever changes, the last step comes anew


def test_an_index_that_changed_is_named_by_the_steps_that_search_it(load: Load) -> None:
    do(load(RECIPE))
    found = reasons(load(RECIPE.replace("from: documents}", "from: documents, chunk_chars: 60}")))
    assert found["index"] == "chunk_chars: 500 -> 60"
    assert found["answers"].startswith("retriever: ")
    assert "questions" not in found


def test_files_that_changed_came_or_went_are_named(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Files, "inputs", lambda self: sorted(self.options.path.glob("*.txt")))
    recipe = load(RECIPE)
    Path("data").mkdir()
    for name in "abc":
        Path(f"data/{name}.txt").write_text(name, encoding="utf-8")
    do(recipe)
    Path("data/a.txt").unlink()
    Path("data/b.txt").write_text("new", encoding="utf-8")
    Path("data/d.txt").write_text("d", encoding="utf-8")
    expected = "data/a.txt removed, data/b.txt changed, data/d.txt added"
    assert reasons(recipe)["documents"] == expected


def test_a_file_made_that_was_edited_or_removed_is_made_again(load: Load) -> None:
    recipe = load(RECIPE)
    do(recipe)
    Path("out.json").write_text("[1]", encoding="utf-8")
    expected = {"dataset": "out.json is gone or was changed", "adapter": "dataset runs"}
    assert reasons(recipe) == expected
    Path("out.json").unlink()
    assert reasons(recipe) == expected


def test_a_manifest_that_does_not_parse_counts_as_none(load: Load) -> None:
    recipe = load(RECIPE)
    do(recipe)
    (plan(recipe).steps["kept"].folder / "manifest.json").write_text('{"step": "kept"', encoding="utf-8")
    assert reasons(recipe) == {"kept": "not done yet", "dataset": "kept runs", "adapter": "dataset runs"}


def test_from_takes_the_step_and_all_that_need_it(load: Load) -> None:
    recipe = load(RECIPE)
    do(recipe)
    anew = "asked for by --from"
    assert reasons(recipe, restart="index") == dict.fromkeys(["index", "answers", "kept", "dataset", "adapter"], anew)
    assert reasons(recipe, restart="adapter") == {"adapter": anew}


def test_until_takes_what_the_step_needs(load: Load) -> None:
    recipe = load(RECIPE)
    assert list(plan(recipe, until="answers").steps) == ["documents", "index", "questions", "answers"]
    assert list(plan(recipe, until="index").steps) == ["documents", "index"]
    assert list(plan(recipe, until="questions").steps) == ["questions"]
    assert plan(recipe, until="questions").models() == ["customer"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"until": "answer"}, "recipe.yaml  --until: no step is called 'answer'. Did you mean 'answers'?"),
        ({"restart": "xyz"}, "recipe.yaml  --from: no step is called 'xyz'."),
        (
            {"until": "index", "restart": "answers"},
            "recipe.yaml  --from: step 'answers' is not needed for 'index', the last one to run. Leave --until out.",
        ),
    ],
)
def test_steps_that_cannot_be_meant_are_told(load: Load, options: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError) as raised:
        plan(load(RECIPE), **options)
    assert str(raised.value).splitlines()[0] == message


def test_a_long_chain_of_steps_that_meet_again_is_planned_at_once(load: Load) -> None:
    """Each pair reads the pair before it: walking every way back would take 2 ** 40 steps."""
    pairs = "".join(
        f"  {pair}{n}: {{use: [length], from: [a{n - 1}, b{n - 1}]}}\n" for n in range(1, 40) for pair in "ab"
    )
    start = "  a0: {use: ask, model: customer}\n  b0: {use: ask, model: customer}\n"
    recipe = load(RECIPE + start + pairs)
    assert len(plan(recipe, until="a39").steps) == 79


def test_a_preview_shares_what_does_not_depend_on_the_questions(load: Load) -> None:
    recipe = load(RECIPE)
    do(recipe)
    steps = plan(recipe, limit=3).steps
    assert [id for id, step in steps.items() if step.preview] == ["questions", "answers", "kept", "dataset", "adapter"]
    assert steps["index"].reused
    assert steps["answers"].folder == Path(".wmsforge/plans/preview/answers")
    assert steps["answers"].reason == "not done yet"
    do(recipe, limit=3)
    assert reasons(recipe, limit=3) == {}
    assert reasons(recipe, limit=4)["questions"] == "limit: 3 -> 4"
    assert reasons(recipe) == {}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"scheme": 1}, {"scheme": 2}, []),
        ({"options": {"words": ["x", "y"]}}, {"options": {"words": ["x", "z"]}}, ["words: 'y' -> 'z'"]),
        ({"words": ["x"]}, {"words": ["x", "y"]}, ["words: ['x'] -> ['x', 'y']"]),
        ({"model": None}, {"model": "m"}, ["model: None -> 'm'"]),
        ({"text": "a" * 99}, {"text": "b"}, [f"text: '{'a' * 36}... -> 'b'"]),
        ({"from": {"a": "1"}}, {"from": {"b": "1"}}, ["a removed", "b added"]),
    ],
)
def test_differences(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    assert differences(old, new) == expected


def test_a_step_whose_input_was_made_anew_without_it_runs(load: Load) -> None:
    recipe = load(RECIPE)
    do(recipe)
    folder = plan(recipe).steps["answers"].folder
    manifest = Manifest.read(folder)
    assert manifest is not None
    manifest.model_copy(update={"digest": "other answers"}).write(folder)  # as `--from answers --until answers` does
    assert reasons(recipe)["kept"] == "answers changed"


def test_a_store_that_lost_a_part_is_made_again(load: Load) -> None:
    recipe = load(RECIPE)
    do(recipe)
    folder = plan(recipe).steps["answers"].folder
    manifest = Manifest.read(folder)
    assert manifest is not None
    manifest.model_copy(update={"bytes_": 100}).write(folder)
    assert reasons(recipe)["answers"] == f"a part of {folder} is gone or was changed"


def test_two_datasets_of_one_path_are_an_error(load: Load) -> None:
    second = "  second: {use: rows, from: kept, path: out.json}\n"
    with pytest.raises(RecipeError, match=r"'out\.json' is also written by step 'dataset'"):
        plan(load(RECIPE + second))
