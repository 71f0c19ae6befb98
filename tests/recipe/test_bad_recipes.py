"""Mistakes people make in recipes, and every word they are told about each.

The tables are text files: `== what is wrong`, the recipe, `--`, the whole message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wmsforge.errors import RecipeError

START = """\
name: wms
models:
  expert: {use: echo}
steps:
  documents: {use: files, path: data}
  index: {use: index, from: documents}
  questions: {use: ask, model: expert}
  answers: {use: rag, from: questions, retriever: index, model: expert}
"""
"""A good recipe of eight lines; mistakes_in_steps.txt goes on with line 9."""


def table(file: str) -> Iterator[object]:
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    for block in text.removeprefix("== ").split("\n\n== "):
        name, _, rest = block.strip("\n").partition("\n")
        recipe, _, message = rest.partition("\n--\n")
        yield pytest.param(recipe + "\n", message, id=name)


def told(load: Callable[..., object], recipe: str) -> str:
    with pytest.raises(RecipeError) as raised:
        load(recipe)
    return str(raised.value)


def whole(message: str) -> str:
    count = len(message.splitlines())
    return f"{message}\nrecipe.yaml has {count} error{'s' if count > 1 else ''}; nothing was run."


def test_the_recipe_that_mistakes_are_added_to_is_good(load: Callable[..., object]) -> None:
    load(START)


@pytest.mark.parametrize(("line", "message"), [*table("mistakes_in_steps.txt")])
def test_a_mistake_in_a_step_is_told_in_full(load: Callable[..., object], line: str, message: str) -> None:
    assert told(load, START + line) == whole(message)


@pytest.mark.parametrize(("recipe", "message"), [*table("mistakes_in_files.txt")])
def test_a_mistake_in_a_file_is_told_in_full(load: Callable[..., object], recipe: str, message: str) -> None:
    assert told(load, recipe) == whole(message)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(load: Callable[..., object]) -> None:
    recipe = """\
    name: wms
    modles: {}
    models:
      expert: {use: echo, concurrency: 0}
    steps:
      questions: {use: ask, model: expert, per_topic: 0, topics: 3, styl: short}
      answers: {use: rag, from: question, retriever: index, model: 3}
    """
    assert told(load, recipe) == (
        "recipe.yaml:2:1  the key 'modles' is unknown. Did you mean 'models'?\n"
        "recipe.yaml:4:23  models.expert.concurrency: must be >= 1, got 0.\n"
        "recipe.yaml:6:40  steps.questions.per_topic: must be >= 1, got 0.\n"
        "recipe.yaml:6:54  steps.questions.topics: must be a list, got 3.\n"
        "recipe.yaml:6:65  steps.questions: option 'styl' is unknown. Did you mean 'style'?\n"
        "recipe.yaml:7:23  steps.answers.from: no step is called 'question'. Did you mean 'questions'?\n"
        "recipe.yaml:7:57  steps.answers.model: must be a name or a mapping with 'use', got 3.\n"
        "recipe.yaml has 7 errors; nothing was run."
    )
