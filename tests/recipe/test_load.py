"""Good recipes: what comes out, in which order."""

from __future__ import annotations

from collections.abc import Callable

from tiny_components import Echo, Grounded, Length

from wmsforge.recipe.model import Recipe

WHOLE = """\
name: 창고-wms
language: no
seed: 3
max_rejected_share: 0.2
models:
  customer: {use: echo, concurrency: 2}
  expert:
    use: tiny/echo
    model: expert-1
steps:
  dataset: {use: rows, from: kept, path: out/data.json}
  documents: {use: files, path: data}
  index:
    use: index
    from: documents
    chunk_chars: 1e3
  questions: {use: ask, model: customer, topics: [입고, 출고]}
  answers: {use: rag, from: questions, retriever: index, model: expert}
  kept: {use: [length, {use: grounded, min_chars: 10}], from: answers}
  adapter: {use: tune, from: dataset}
  merged: {use: merge, from: adapter, kind: exporter}
  server: {use: serve, from: merged}
  report: {use: score, from: server}
"""


def test_steps_come_after_what_they_need_and_else_in_the_order_of_the_file(load: Callable[..., Recipe]) -> None:
    order = ["documents", "index", "questions", "answers", "kept", "dataset", "adapter", "merged", "server", "report"]
    assert list(load(WHOLE).steps) == order


def test_the_head_of_a_recipe_and_its_defaults(load: Callable[..., Recipe]) -> None:
    recipe = load(WHOLE)
    assert (recipe.path, recipe.name, recipe.language, recipe.seed) == ("recipe.yaml", "창고-wms", "no", 3)
    assert recipe.max_rejected_share == 0.2
    short = load("name: a\nseed:\nsteps: {documents: {use: files, path: data}}")
    assert (short.language, short.seed, short.max_rejected_share, short.models) == ("ko", 0, 0.5, {})


def test_each_step_has_its_kind_what_it_gives_and_its_line(load: Callable[..., Recipe]) -> None:
    found = {step.id: (step.kind, step.produces, step.line) for step in load(WHOLE).steps.values()}
    assert found == {
        "documents": ("loader", "Document", 12),
        "index": ("retriever", "index", 13),
        "questions": ("question_generator", "Question", 17),
        "answers": ("answer_generator", "Answer", 18),
        "kept": ("filter", "Answer", 19),
        "dataset": ("exporter", "dataset", 11),
        "adapter": ("trainer", "adapter", 20),
        "merged": ("exporter", "model", 21),
        "server": ("server", "endpoint", 22),
        "report": ("evaluator", "report", 23),
    }


def test_a_list_of_filters_keeps_its_order_and_the_options_of_each(load: Callable[..., Recipe]) -> None:
    length, grounded = load(WHOLE).steps["kept"].uses
    assert (length.component, grounded.component) == (Length, Grounded)
    assert (length.options.min_chars, grounded.options.min_chars) == (1, 10)  # type: ignore[attr-defined]
    assert (length.written, grounded.written) == ({}, {"min_chars": 10})


def test_models_have_their_options_as_valid_and_as_written(load: Callable[..., Recipe]) -> None:
    expert = load(WHOLE).models["expert"]
    assert expert.component is Echo
    assert expert.options == Echo.Options(model="expert-1")
    assert expert.written == {"model": "expert-1"}
    assert (expert.offer.plugin, expert.line) == ("tiny", 8)


def test_a_step_says_what_it_needs_and_which_models_it_uses(load: Callable[..., Recipe]) -> None:
    answers = load(WHOLE).steps["answers"]
    assert list(answers.needs()) == ["questions", "index"]
    assert list(answers.models()) == ["expert"]


def test_a_whole_number_in_scientific_notation_is_an_integer(load: Callable[..., Recipe]) -> None:
    chunk_chars = load(WHOLE).steps["index"].uses[0].options.chunk_chars  # type: ignore[attr-defined]
    assert (chunk_chars, type(chunk_chars)) == (1000, int)


def test_a_step_may_read_several_steps_that_give_the_same(load: Callable[..., Recipe]) -> None:
    recipe = load("""
        name: two
        steps:
          a: {use: files, path: a}
          b: {use: files, path: b}
          index: {use: index, from: [b, a]}
    """)
    assert recipe.steps["index"].sources == ("b", "a")


def test_a_question_generator_may_read_documents(load: Callable[..., Recipe]) -> None:
    recipe = load("""
        name: read
        steps:
          questions: {use: ask, model: echo, from: documents}
          documents: {use: files, path: data}
    """)
    assert list(recipe.steps) == ["documents", "questions"]


def test_filters_of_questions_give_questions(load: Callable[..., Recipe]) -> None:
    recipe = load("""
        name: early
        steps:
          questions: {use: ask, model: echo}
          distinct: {use: distinct, from: questions}
          kept: {use: length, from: distinct}
    """)
    assert recipe.steps["kept"].produces == "Question"


def test_merge_keys_share_options(load: Callable[..., Recipe]) -> None:
    recipe = load("""
        name: shared
        models:
          a: &echo {use: echo, concurrency: 2}
          b: {<<: *echo, model: other}
        steps:
          questions: {use: ask, model: b}
    """)
    options = recipe.models["b"].options
    assert (options.concurrency, options.model) == (2, "other")  # type: ignore[attr-defined]


def test_a_name_of_two_kinds_means_the_one_that_reads_the_source(load: Callable[..., Recipe]) -> None:
    """'merge' is an exporter and a server; both read an adapter, only the server reads an endpoint."""
    text = WHOLE.replace("server: {use: serve, from: merged}", "server: {use: serve, from: adapter}").replace(
        "merged: {use: merge, from: adapter, kind: exporter}", "merged: {use: merge, from: server}"
    )
    assert load(text).steps["merged"].kind == "server"


def test_a_model_is_a_chat_model_when_its_name_is_one_and_else_what_kind_says(load: Callable[..., Recipe]) -> None:
    recipe = load("""
        name: both
        models:
          a: {use: either}
          b: {use: either, kind: embedder}
        steps:
          documents: {use: files, path: data}
          index: {use: index, from: documents, embedder: b}
          questions: {use: ask, model: a}
    """)
    assert [use.offer.kind for use in recipe.models.values()] == ["chat_model", "embedder"]


def test_long_chains_are_no_trouble(load: Callable[..., Recipe]) -> None:
    chain = [f"  s{n}: {{use: length, from: s{n - 1}}}" for n in range(1, 500)]
    recipe = load("\n".join(["name: long", "steps:", *reversed(chain), "  s0: {use: ask, model: echo}"]))
    assert list(recipe.steps) == [f"s{n}" for n in range(500)]
