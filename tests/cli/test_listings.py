"""`wmsforge plugins`, `components` and `schema`."""

from __future__ import annotations

import json

import jsonschema
import pytest
from cli_project import Project

from wmsforge import __version__
from wmsforge.steps import KINDS


@pytest.fixture
def broken(project: Project) -> Project:
    """A project with a second plugin, which cannot be imported, and a third, which claims a name of the first."""
    site = project.folder.parent / "plugin"
    for name, source in {
        "cli_broken": "raise ImportError('no peft')",
        "cli_rival": "from wmsforge.hookspecs import hookimpl\n\n@hookimpl\ndef register_loaders(register):\n"
        "    register('texts', 'rival:Texts', summary='Another.')\n",
    }.items():
        (site / f"{name}.py").write_text(source, encoding="utf-8")
        info = site / f"{name}-2.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(f"[wmsforge]\n{name} = {name}\n")
    project.environment["WMSFORGE_PLUGINS"] = "cli-test-plugin,cli-broken,cli-rival"
    return project


def row(out: str, name: str) -> list[str]:
    return next(line for line in out.splitlines() if line.startswith(f"{name} ")).split(maxsplit=3)


def test_plugins_are_listed_with_what_they_offer_and_what_became_of_them(broken: Project) -> None:
    out, err = broken.run("plugins")
    assert out.splitlines()[0].split() == ["plugin", "version", "status", "offers"]
    assert row(out, "wmsforge")[:3] == ["wmsforge", __version__, "loaded"]
    assert row(out, "cli-rival") == ["cli-rival", "2.0", "loaded", "loader: texts"]
    assert row(out, "cli-broken") == ["cli-broken", "2.0", "failed", "ImportError: no peft"]
    assert err == (
        "loader 'texts' is offered by cli-rival and cli-test-plugin. Choose one in the recipe: use: cli-rival/texts\n"
    )


def test_failed_plugins_are_shown_with_their_tracebacks(broken: Project) -> None:
    out, _ = broken.run("plugins", "--failed")
    assert out.startswith("cli-broken 2.0: ImportError: no peft\nTraceback (most recent call last):\n")
    assert "cli_broken.py" in out


def test_no_failed_plugins(project: Project) -> None:
    assert project.run("plugins", "--failed") == ("", "No plugin failed to load.\n")


def test_plugins_as_json(broken: Project) -> None:
    told = broken.json("plugins", "--json")
    by_name = {plugin["name"]: plugin for plugin in told["plugins"]}
    assert by_name["cli-rival"]["hooks"] == ["register_loaders"]
    assert by_name["cli-rival"]["offers"] == [{"kind": "loader", "name": "texts"}]
    assert (by_name["cli-broken"]["status"], by_name["cli-broken"]["error"]) == ("failed", "ImportError: no peft")
    assert told["clashes"] == [{"kind": "loader", "name": "texts", "plugins": ["cli-rival", "cli-test-plugin"]}]


def test_components_are_listed_by_kind(project: Project) -> None:
    out, _ = project.run("components")
    header, *rows = out.splitlines()
    assert header.split() == ["kind", "name", "plugin", "summary"]
    kinds = [line.split()[0] for line in rows]
    assert kinds == sorted(kinds, key=list(KINDS).index)
    loaders = [line.split(maxsplit=3)[:3] for line in project.run("components", "loader")[0].splitlines()[1:]]
    assert loaders == [["loader", "texts", "cli-test-plugin"]]


def test_components_as_json(project: Project) -> None:
    (loader,) = project.json("components", "loader", "--json")
    assert (loader["name"], loader["plugin"], loader["version"]) == ("texts", "cli-test-plugin", "1.0")


def test_a_component_is_shown_with_its_options(project: Project) -> None:
    first, header, *options = project.run("components", "chat_model", "echo")[0].splitlines()
    assert first.startswith("chat_model echo (cli-test-plugin 1.0): ")
    assert header.split() == ["option", "type", "default", "description"]
    assert any(line.split()[:5] == ["concurrency", "integer", ">=", "1", "8"] for line in options)
    told = project.json("components", "chat_model", "cli-test-plugin/echo", "--json")
    assert told["options"][0] == {
        "name": "concurrency",
        "type": "integer >= 1",
        "default": "8",
        "description": "Calls in flight at most; a run finds by itself how many below this are best.",
    }


def test_a_misspelt_kind_or_name_is_told_with_close_names(project: Project) -> None:
    assert "no kind is called 'loadr'. Did you mean 'loader'?" in project.run("components", "loadr", code=2)[1]
    _, err = project.run("components", "loader", "text", code=3)
    assert err.startswith("no loader is called 'text'. Did you mean 'texts'? ")
    assert err.endswith(" List all: wmsforge components loader\n")


def test_the_schema_takes_the_recipe_and_goes_to_stdout_or_a_file(project: Project) -> None:
    import yaml

    schema = json.loads(project.run("schema")[0])
    recipe = yaml.safe_load((project.folder / "recipe.yaml").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(recipe)
    out, err = project.run("schema", "--output", "editor/schema.json")
    path = project.folder / "editor/schema.json"
    assert out == ""
    assert err.splitlines()[-1] == f"# yaml-language-server: $schema={path}"
    assert json.loads(path.read_text(encoding="utf-8")) == schema


def test_a_broken_component_is_left_out_of_the_schema_and_told(broken: Project) -> None:
    out, err = broken.run("schema")
    assert "left out: loader 'texts' of plugin 'cli-rival' cannot be loaded from 'rival:Texts'" in err
    assert "cli-rival.loader.texts" not in json.loads(out)["$defs"]
