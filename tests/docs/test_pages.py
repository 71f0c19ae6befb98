"""What the pages say can be done: links lead somewhere, recipes load, commands exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from docs_pages import PAGES, ROOT, Block, blocks, prose

from wmsforge.cli import COMMANDS, main
from wmsforge.errors import RecipeError
from wmsforge.plugins import PluginHost
from wmsforge.recipe.load import load_recipe
from wmsforge.recipe.source import read_source

CHECKED = [ROOT / "README.md", *PAGES]
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
_COMMAND = re.compile(r"`(wmsforge [^`]+)`")
_OF_PARTS = re.compile(r"is unknown|no (component|filter) is called|must |cannot stand")
"""What can be wrong with a part of a recipe, shown alone: its names and options, not its wiring."""


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", CHECKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path):
    lost = []
    for target, anchor in _LINK.findall(prose(page)):
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            lost.append(f"{target}#{anchor}" if anchor else target)
    assert lost == []


def test_the_index_names_every_page():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in PAGES} - {"README.md"}
    assert pages - set(re.findall(r"\]\(([^)]+)\)", index)) == set()


def recipe_blocks() -> Iterator[Block]:
    for block in blocks():
        is_recipe = block.language == "yaml" and re.search(r"^(steps|models):", block.text, re.MULTILINE)
        if is_recipe and "docs/examples/" not in block.before:  # those use a stranger's plugin; test_examples runs them
            yield block


@pytest.mark.parametrize("block", list(recipe_blocks()), ids=str)
def test_recipes_load_and_parts_of_recipes_use_options_that_exist(
    block: Block, bundled_host: PluginHost, tmp_path: Path
):
    path = tmp_path / "recipe.yaml"
    whole = re.search(r"^name:", block.text, re.MULTILINE)
    path.write_text(block.text if whole else f"name: part\n{block.text}", encoding="utf-8")
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)", block.text), "1")
    try:
        load_recipe(path, registry=bundled_host.registry, environ=environ)
    except RecipeError as error:
        wrong = [problem for problem in error.problems if whole or _OF_PARTS.search(problem.message)]
        assert wrong == []


@pytest.mark.parametrize("block", [block for block in blocks() if block.language == "yaml"], ids=str)
def test_yaml_is_yaml(block: Block, tmp_path: Path):
    path = tmp_path / "block.yaml"
    path.write_text(block.text, encoding="utf-8")
    assert read_source(path).problems == []


def commands(page: Path) -> Iterator[str]:
    """Yield the wmsforge commands of a page: lines of its bash blocks, and code in its text."""
    for block in blocks():
        if block.page == page and block.language == "bash":
            text = block.text.replace("\\\n", " ")
            yield from re.findall(r"^(?:\w+=\S* )*(wmsforge .*?)(?: [|>&#].*)?$", text, re.MULTILINE)
    yield from (code for code in _COMMAND.findall(prose(page)) if code.split()[1].strip("-") != "COMMAND")


@pytest.mark.parametrize("page", CHECKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_their_options_exist(page: Path):
    root = main.make_context("wmsforge", [], resilient_parsing=True)
    for line in commands(page):
        rest = main.make_parser(root).parse_args(shlex.split(line)[1:])[1]
        if not rest:
            continue
        assert rest[0] in COMMANDS, line
        command = main.get_command(root, rest[0])
        assert command is not None
        try:
            command.make_parser(click.Context(command, root)).parse_args(rest[1:])
        except click.UsageError as error:
            pytest.fail(f"{line}: {error.format_message()}")
