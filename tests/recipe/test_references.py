"""What a reference stands for: an id of the recipe, a component's name, or an inline component."""

from __future__ import annotations

from collections.abc import Callable

from tiny_components import Both, Echo, Index, Length, Unit

from wmsforge.options import Ref
from wmsforge.recipe.model import ComponentUse, Recipe, Target


def targets(use: ComponentUse) -> dict[str, Target]:
    return {ref.name or ref.use: target for ref, target in use.targets}


def inline(target: Target) -> ComponentUse:
    assert target.inline is not None
    return target.inline


START = """\
name: refs
models:
  expert: {use: echo}
  index: {use: unit}
steps:
  documents: {use: files, path: data}
"""


def test_ids_come_before_names_of_components(load: Callable[..., Recipe]) -> None:
    """A step, a model and two components are called 'index' or 'echo' here."""
    recipe = load(
        START
        + """\
  index: {use: index, from: documents, embedder: index}
  echo: {use: ask, model: echo}
  answers: {use: rag, from: echo, retriever: index, model: expert, judge: length}
"""
    )
    assert targets(recipe.steps["index"].uses[0]) == {"index": Target(model="index")}
    answers = targets(recipe.steps["answers"].uses[0])
    assert (answers["index"], answers["expert"]) == (Target(step="index"), Target(model="expert"))
    assert inline(answers["length"]).component is Length
    assert inline(targets(recipe.steps["echo"].uses[0])["echo"]).component is Echo


def test_an_inline_component_has_its_own_options_and_references(load: Callable[..., Recipe]) -> None:
    recipe = load(
        START
        + """\
  both:
    use: both
    from: documents
    retrievers:
    - index
    - use: tiny/index
      chunk_chars: 100
      embedder: {use: unit, dimension: 4}
"""
    )
    use = recipe.steps["both"].uses[0]
    assert use.component is Both
    second = inline(targets(use)["tiny/index"])
    assert (second.component, second.line) == (Index, 12)
    assert second.written == {"chunk_chars": 100, "embedder": {"use": "unit", "dimension": 4}}
    embedder = inline(targets(second)["unit"])
    assert embedder.options == Unit.Options(dimension=4)


def test_a_default_reference_is_tied_too(load: Callable[..., Recipe]) -> None:
    recipe = load(START + "  again: {use: index, from: documents}\n")
    use = recipe.steps["again"].uses[0]
    assert inline(use.target(Ref("embedder", name="unit"))).component is Unit


def test_an_optional_reference_that_is_not_given_stands_for_nothing(load: Callable[..., Recipe]) -> None:
    assert load(START).models["expert"].targets == ()


def test_steps_and_models_of_inline_components_count_as_needed(load: Callable[..., Recipe]) -> None:
    recipe = load(
        START
        + """\
  base: {use: index, from: documents}
  both: {use: both, from: documents, retrievers: [base, {use: both, retrievers: [base, {use: index, embedder: index}]}]}
"""
    )
    assert set(recipe.steps["both"].needs()) == {"documents", "base"}
    assert list(recipe.steps["both"].models()) == ["index"]
