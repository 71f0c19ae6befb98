"""What YAML means here, and where its parts stand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wmsforge.yaml.yaml12 import MAX_VALUES, parse


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("10", 10),
        ("-3", -3),
        ("+3", 3),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("1e3", 1000.0),
        ("1.5E-2", 0.015),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        ("12:30:45", "12:30:45"),
        ("2026-11-23", "2026-11-23"),
        ("0.1.0", "0.1.0"),
        ("'3'", "3"),
        ('"no"', "no"),
        ("!!str 3", "3"),
        ("!!float 3", 3.0),
        ("=", "="),
        ("입고 절차", "입고 절차"),
    ],
)
def test_a_scalar_means_what_version_1_2_says(written: str, value: Any) -> None:
    tree = parse(f"key: {written}\n")
    assert tree.problems == []
    assert tree.value == {"key": value}
    assert type(tree.value["key"]) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse("key: .nan").value["key"])


def test_places_are_those_of_keys_and_list_items_counted_from_1() -> None:
    tree = parse("name: wms\nsteps:\n  kept:\n    use: [length, {use: grounded}]\n    from:\n    - answers\n")
    assert tree.places == {
        ("name",): (1, 1),
        ("steps",): (2, 1),
        ("steps", "kept"): (3, 3),
        ("steps", "kept", "use"): (4, 5),
        ("steps", "kept", "use", 0): (4, 11),
        ("steps", "kept", "use", 1): (4, 19),
        ("steps", "kept", "use", 1, "use"): (4, 20),
        ("steps", "kept", "from"): (5, 5),
        ("steps", "kept", "from", 0): (6, 7),
    }


def test_an_alias_and_a_merge_key_bring_values_that_stand_where_they_were_written() -> None:
    tree = parse("base: &base {a: 1, b: 2}\nsame: *base\nmore:\n  <<: *base\n  b: 3\n")
    assert tree.value == {"base": {"a": 1, "b": 2}, "same": {"a": 1, "b": 2}, "more": {"a": 1, "b": 3}}
    assert tree.places["more", "a"] == (1, 14)
    assert tree.places["more", "b"] == (5, 3)


def test_the_first_of_several_merged_mappings_wins() -> None:
    assert parse("<<: [{a: 1}, {a: 2, b: 2}]").value == {"a": 1, "b": 2}


def test_values_of_an_alias_are_not_shared() -> None:
    value = parse("a: &a [1]\nb: *a\n").value
    assert value["a"] is not value["b"]


def test_a_merge_key_in_quotes_is_plain_text() -> None:
    assert parse("'<<': 1").value == {"<<": 1}


def problems(text: str) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.message) for problem in parse(text).problems]


def test_every_key_that_stands_twice_is_found_with_both_lines() -> None:
    assert problems("a: 1\nb: {c: 1,\n  c: 2}\na: 2\n") == [
        (4, 1, "the key 'a' stands here again; it is on line 1 too."),
        (3, 3, "the key 'c' stands here again; it is on line 2 too."),
    ]


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: [*a]}"])
def test_an_alias_inside_of_what_it_names_is_refused(text: str) -> None:
    (found,) = problems(text)
    assert found[2] == "an alias stands inside the value that it names."


@pytest.mark.parametrize("text", ["a: &a {<<: *a}", "<<: 3"])
def test_a_merge_key_must_name_another_mapping(text: str) -> None:
    (found,) = problems(text)
    assert found[2] == "'<<' must name a mapping, or a list of mappings, that stands elsewhere."


def alias_bomb(depth: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, depth)]
    return "\n".join(lines)


def merge_bomb(depth: int) -> str:
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: 1}}" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [alias_bomb(9), merge_bomb(30), "- a\n" * (MAX_VALUES + 1)])
def test_more_values_than_any_recipe_has_are_refused(text: str) -> None:
    tree = parse(text)
    assert tree.value is None
    assert [problem.message for problem in tree.problems] == [
        "the file holds more than 20,000 values, counting each time that an alias is used."
    ]


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "? " * 5000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert problems(text) == [(1, 1, "lists and mappings stand too deep in each other.")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: \x07", (1, 4, "the character U+0007 is not allowed.")),
        ('a: "\\ud800"', (1, 4, "the text holds half of a character (an unpaired surrogate).")),
        ("a: " + "9" * 5000, (1, 4, "the number has too many digits.")),
        ("a: !!int x", (1, 4, "'x' is not of the type !!int.")),
        ("a: !!binary YQ==", (1, 4, "the tag '!!binary' is not allowed; a recipe holds plain values.")),
        ("? [a]\n: b", (1, 3, "a key must be text.")),
        ("{{name}}: b", (1, 1, "a key must be text.")),
        ("a: @x", (1, 4, "text that begins with this character needs quotes.")),
        ('a: "C:\\data"', (1, 8, "this escape is unknown. In single quotes a backslash is plain text.")),
        ("a: - b", (1, 4, "not valid YAML: sequence entries are not allowed here.")),
    ],
)
def test_what_a_recipe_may_not_hold_is_told_with_its_place(text: str, problem: tuple[int, int, str]) -> None:
    assert problems(text) == [problem]
