"""The JSON Schema agrees with what a recipe may hold, as far as a schema can know."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from wmsforge.recipe.schema import recipe_schema
from wmsforge.registry import Registry
from wmsforge.yaml.yaml12 import parse

GOOD = """\
name: wms
language: ko
budget: {usd: 1.5, tokens: 1e6}
models:
  expert: {use: echo, api_key: "${KEY}", concurrency: "${N}", timeout_s: 1e2}
  vectors: {use: tiny/unit, kind: embedder}
steps:
  documents: {use: files, path: data}
  index: {use: index, from: documents, embedder: {use: unit, dimension: 4}, chunk_chars: 500}
  both: {use: both, from: [documents], retrievers: [index, {use: index, embedder: vectors}]}
  questions: {use: ask, model: expert, limit: all, persona: {name: Kim}}
  answers: {use: rag, from: questions, retriever: both, model: expert}
  kept: {use: [length, {use: tiny/grounded, min_chars: 3}], from: answers}
  dataset: {use: rows, from: kept, path: out.json}
  adapter: {use: tune, from: dataset, epochs: 2}
  merged: {use: merge, from: adapter, kind: exporter}
"""


@pytest.fixture
def left_out() -> list[str]:
    return []


@pytest.fixture
def schema(registry: Registry, left_out: list[str]) -> dict[str, Any]:
    return recipe_schema(registry, left_out.append)


def errors(schema: dict[str, Any], text: str) -> list[str]:
    """Return where a recipe is wrong, as dotted paths."""
    value = parse(text).value
    found = jsonschema.Draft202012Validator(schema).iter_errors(value)
    return sorted({".".join(map(str, error.absolute_path)) for error in found})


def test_it_is_a_schema_of_draft_2020_12_and_json(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


def test_a_good_recipe_is_valid(schema: dict[str, Any]) -> None:
    assert errors(schema, GOOD) == []


@pytest.mark.parametrize(
    ("good", "bad", "where"),
    [
        ("name: wms\n", "", ""),
        ("language: ko", "langauge: ko", ""),
        ("name: wms", "name: a/b", "name"),
        ("usd: 1.5", "usd: -1", "budget.usd"),
        ("usd: 1.5", "eur: 1.5", "budget"),
        ("{usd: 1.5, tokens: 1e6}", "1.5", "budget"),
        ("use: files", "use: fils", "steps.documents.use"),
        ("use: files", "use: echo", "steps.documents.use"),
        ("path: data", "pth: data", "steps.documents"),
        ("path: data", "path: data, from: index", "steps.documents"),
        ("from: documents, embedder", "embedder", "steps.index"),
        ("chunk_chars: 500", "chunk_chars: 5", "steps.index.chunk_chars"),
        ("dimension: 4", "dimension: 0", "steps.index.embedder"),
        ("dimension: 4", "dimension: 4, from: documents", "steps.index.embedder"),
        ("limit: all", "limit: some", "steps.questions.limit"),
        ("{name: Kim}", "{age: 3}", "steps.questions.persona"),
        ("model: expert, limit", "limit", "steps.questions"),
        ("use: [length, ", "use: [index, ", "steps.kept.use"),
        ("min_chars: 3}]", "min_char: 3}]", "steps.kept.use"),
        ("from: answers}", "from: answers, min_chars: 3}", "steps.kept"),
        ("kind: exporter", "kind: filter", "steps.merged"),
        ("use: echo", "use: index", "models.expert.use"),
        ('"${KEY}"', "sk-123", "models.expert.api_key"),
        ('"${N}"', "many", "models.expert.concurrency"),
    ],
)
def test_a_mistake_is_found_where_it_stands(schema: dict[str, Any], good: str, bad: str, where: str) -> None:
    assert good in GOOD
    assert where in errors(schema, GOOD.replace(good, bad, 1))


def test_options_carry_their_descriptions_and_components_their_summaries(schema: dict[str, Any]) -> None:
    index = schema["$defs"]["tiny.retriever.index"]
    assert index["description"] == "A tiny retriever."
    assert index["properties"]["chunk_chars"]["description"] == "Characters of a chunk at most."
    assert index["properties"]["chunk_chars"]["default"] == 500
    assert index["properties"]["embedder"] == {
        "description": "Turns text into vectors.",
        "default": "unit",
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/inline_embedder"}],
    }


def test_what_cannot_be_imported_is_left_out_and_told(schema: dict[str, Any], left_out: list[str]) -> None:
    assert left_out == [
        "left out: filter 'moved' of plugin 'tiny' cannot be loaded from 'tiny_components:NoSuchClass': "
        "AttributeError: module 'tiny_components' has no attribute 'NoSuchClass'.",
        "left out: filter 'needy' of plugin 'tiny' needs the package 'package_that_is_not_there', "
        "which is not installed.",
    ]
    assert "tiny.filter.moved" not in schema["$defs"]


def test_a_name_that_two_plugins_offer_needs_its_plugin(schema: dict[str, Any]) -> None:
    kept = "kept: {use: [length, {use: tiny/grounded, min_chars: 3}], from: answers}"
    assert errors(schema, GOOD.replace(kept, "kept: {use: one/twice, from: answers}")) == []
    assert errors(schema, GOOD.replace(kept, "kept: {use: twice, from: answers}")) == ["steps.kept.use"]


def test_without_any_plugin_there_is_still_a_schema() -> None:
    schema = recipe_schema(Registry(), lambda message: None)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert errors(schema, "name: a\nsteps: {documents: {use: files}}") == ["steps.documents.use"]
