"""Files that are no recipes at all, and `--set`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wmsforge.errors import RecipeError
from wmsforge.recipe.model import Recipe
from wmsforge.recipe.source import read_source

RECIPE = """\
name: wms
models:
  expert: {use: echo}
steps:
  questions: {use: ask, model: expert, topics: [receiving, picking]}
  kept: {use: [length, {use: distinct}], from: questions}
"""


def test_a_missing_file_is_told_with_close_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    Path("recipes/wms.yaml").touch()
    with pytest.raises(RecipeError) as raised:
        read_source(Path("recipes/wsm.yaml"))
    assert str(raised.value).splitlines()[0] == (
        "recipes/wsm.yaml  there is no such file. Did you mean 'recipes/wms.yaml'?"
    )


def test_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the file cannot be read: Is a directory\\."):
        read_source(tmp_path)


def test_a_file_in_another_encoding_is_told_with_line_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "wms.yaml"
    path.write_bytes("name: wms\n# 입고\n".encode("cp949"))
    with pytest.raises(RecipeError) as raised:
        read_source(path)
    assert str(raised.value).splitlines()[0] == (
        f"{path}:2:3  byte 0xC0 is not UTF-8. Save the file as UTF-8; "
        "if it is CP949: iconv -f CP949 -t UTF-8 wms.yaml > new.yaml"
    )


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "wms.yaml"
    path.write_bytes("\ufeffname: wms\n".encode())
    assert read_source(path).value == {"name": "wms"}


def test_a_file_of_more_than_a_megabyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wms.yaml"
    path.write_text("# " + "x" * 1_000_000)
    with pytest.raises(RecipeError, match="the file is longer than 1,000,000 bytes"):
        read_source(path)


@pytest.mark.parametrize("text", ["null", "~", "3", "a:b", "- a"])
def test_a_file_that_is_no_mapping_is_told(mistakes: Callable[..., list[str]], text: str) -> None:
    assert mistakes(text) == ["recipe.yaml:1:1  a recipe is a mapping with the keys name, models and steps."]


def test_set_changes_values_and_they_are_in_the_written_recipe(load: Callable[..., Recipe]) -> None:
    overrides = ["steps.questions.per_topic=3", "steps.questions.topics=[returns]", "language=en", "seed = 7"]
    recipe = load(RECIPE, overrides=overrides)
    options = recipe.steps["questions"].uses[0].options
    assert (options.per_topic, options.topics) == (3, ("returns",))  # type: ignore[attr-defined]
    assert (recipe.language, recipe.seed) == ("en", 7)
    assert recipe.written["steps"]["questions"]["per_topic"] == 3


def test_set_reaches_into_lists_and_the_last_one_wins(load: Callable[..., Recipe]) -> None:
    recipe = load(RECIPE, overrides=["steps.kept.use.0={use: length, min_chars: 4}", "steps.kept.use.0.min_chars=5"])
    assert recipe.steps["kept"].uses[0].options.min_chars == 5  # type: ignore[attr-defined]


def test_set_takes_equals_signs_variables_and_nothing(load: Callable[..., Recipe]) -> None:
    overrides = ["models.expert.base_url=http://x/?a=b", "models.expert.model=${MODEL}", "steps.questions.persona="]
    recipe = load(RECIPE, overrides=overrides, environ={"MODEL": "solar"})
    options = recipe.models["expert"].options
    assert (options.base_url, options.model) == ("http://x/?a=b", "solar")  # type: ignore[attr-defined]
    assert recipe.written["models"]["expert"]["model"] == "${MODEL}"
    assert recipe.written["steps"]["questions"]["persona"] is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("steps.questions.per_topic=0", "steps.questions.per_topic: must be >= 1, got 0."),
        (
            "steps.questions.per_topc=1",
            "steps.questions.per_topc: option 'per_topc' is unknown. Did you mean 'per_topic'?",
        ),
        ("steps.question.per_topic=1", "steps.question.per_topic: steps has no 'question'. Did you mean 'questions'?"),
        ("steps.more={use: files}", "steps.more: steps has no 'more'."),
        ("step.questions.per_topic=1", "step.questions.per_topic: the recipe has no 'step'. Did you mean 'steps'?"),
        ("sed=1", "sed: the key 'sed' is unknown. Did you mean 'seed'?"),
        ("seed=x", "seed: must be an integer >= 0, got 'x'."),
        ("seed", "seed: must be a path, '=' and a value, such as steps.answers.top_k=5."),
        ("steps..x=1", "steps..x: must be a path, '=' and a value, such as steps.answers.top_k=5."),
        ("steps.kept.use.2=length", "steps.kept.use.2: steps.kept.use is a list of 2; its places count from 0."),
        (
            "models.expert.use.x=1",
            "models.expert.use.x: models.expert.use is a single value. Set it whole: --set models.expert.use=...",
        ),
        ("budget.usd=-1", "budget.usd: must be a number >= 0, got -1."),
        ("budget.eur=1", "budget.eur: the unit 'eur' is unknown. Known are: usd, requests, tokens."),
        ("budget=1", "budget: must be a mapping of usd, requests, tokens, got 1. Write: budget: {usd: 1}"),
        ("seed=[1", "seed: not valid YAML: expected ',' or ']', but got '<stream end>'."),
        (
            "models.expert.api_key=sk-1",
            'models.expert.api_key: a secret may not stand in a recipe. Write "${NAME}" here, '
            "and set it: export NAME=...",
        ),
    ],
)
def test_a_mistake_in_set_points_at_the_set(mistakes: Callable[..., list[str]], override: str, message: str) -> None:
    assert mistakes(RECIPE, overrides=[override]) == [f"recipe.yaml  --set {message}"]


def test_what_set_replaced_no_longer_points_into_the_file(mistakes: Callable[..., list[str]]) -> None:
    told = mistakes(RECIPE, overrides=["steps.questions.topics=[receiving, 3]"])
    assert told == ["recipe.yaml  --set steps.questions.topics.1: must be text, got 3. Put it in quotes."]
