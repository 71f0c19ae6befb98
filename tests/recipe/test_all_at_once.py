"""A wrong option does not hide the wrong references beside it."""

from collections.abc import Callable

import pytest

from wmsforge.errors import RecipeError
from wmsforge.recipe.model import Recipe

RECIPE = """\
name: wrong
models:
  expert: {use: echo}
steps:
  documents: {use: files, path: data}
  index: {use: index, from: documents}
  questions: {use: ask, model: expert}
  answers: {use: rag, from: questions, retriever: indx, model: exprt, top_k: no}
"""


def test_a_wrong_option_and_wrong_references_are_shown_together(load: Callable[[str], Recipe]) -> None:
    with pytest.raises(RecipeError) as raised:
        load(RECIPE)
    assert [problem.where for problem in raised.value.problems] == [
        "steps.answers.retriever",
        "steps.answers.model",
        "steps.answers.top_k",
    ]
