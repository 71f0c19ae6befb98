"""`wmsforge import-index`: the vectors of an index made elsewhere are kept for a step, and it embeds nothing again."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cli_project import Project
from filelock import FileLock

RECIPE = """\
name: tests
models:
  lengths: {use: lengths}
steps:
  documents: {use: crates, path: old}
  index: {use: shelf, from: documents, embedder: lengths}
"""


@pytest.fixture
def crate(tmp_path: Path) -> Project:
    """A project with an index made elsewhere, old/, and the plugin of import_components.py."""
    plugin = tmp_path / "plugin" / "import_test_plugin-1.0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: import-test-plugin\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[wmsforge]\nimport_test_plugin = import_components\n")
    home = tmp_path / "project"
    (home / "old").mkdir(parents=True)
    (home / "old/crate.txt").write_text("one\ntwo\nthree\nfour\n", encoding="utf-8")
    (home / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    path = os.pathsep.join([str(plugin.parent), str(Path(__file__).parent)])
    return Project(home, os.environ | {"PYTHONPATH": path, "WMSFORGE_PLUGINS": "import-test-plugin"})


def take_over(project: Project, *arguments: str, code: int = 0) -> tuple[str, str]:
    return project.run("import-index", "recipe.yaml", "old", "--reader", "crate", *arguments, code=code)


def facts(project: Project) -> Any:
    manifest = project.folder / ".wmsforge/tests/steps/index/manifest.json"
    return json.loads(manifest.read_text("utf-8"))["artifact"]["facts"]


def test_after_it_a_run_embeds_nothing_and_says_so(crate: Project) -> None:
    out, err = take_over(crate)
    assert out.splitlines() == ["index: 4 of 4 passages are embedded already.", "next: wmsforge run recipe.yaml"]
    assert "warning: index: the crate is old" in err
    _, err = crate.run("run", "recipe.yaml")
    assert "4 passages, 0 encoded anew" in err
    assert facts(crate) == {"passages": 4, "encoded": 0}


def test_without_it_everything_is_embedded(crate: Project) -> None:
    crate.run("run", "recipe.yaml")
    assert facts(crate) == {"passages": 4, "encoded": 4}


def test_what_is_not_kept_and_not_loaded_is_said(crate: Project) -> None:
    (crate.folder / "old/crate.txt").write_text("one\nlonger than ten\n", encoding="utf-8")
    out, _ = take_over(crate, "--set", "steps.documents.path=elsewhere")
    assert out.splitlines() == [
        "index: 1 of 2 passages are embedded already.",
        "Not kept: 1, which the step cuts before it embeds them. A larger chunk_chars keeps them.",
        "Let the recipe load them, else they are not used:",
        "  documents: {use: crates, path: old}",
        "next: wmsforge run recipe.yaml",
    ]


def test_another_workspace_and_another_way_to_write_the_folder(crate: Project) -> None:
    away = ("--workspace", "a b")
    out, _ = take_over(crate, *away, "--set", "steps.documents.path=./old/")
    assert out.splitlines()[1:] == ["next: wmsforge run recipe.yaml --workspace 'a b'"]
    _, err = crate.run("run", "recipe.yaml", *away)
    assert "4 passages, 0 encoded anew" in err


def test_the_same_as_data_and_in_a_log(crate: Project) -> None:
    out, _ = take_over(crate, "--json")
    assert json.loads(out) == {
        "step": "index",
        "documents": 4,
        "adopted": 4,
        "loader": {"use": "crates", "path": "old"},
        "loaded_by": "documents",
    }
    log = (crate.folder / ".wmsforge/tests/imports.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["event"] for line in log] == ["import_started", "warning", "import_finished"]


def test_an_embedder_that_did_not_make_it_stops_the_import(crate: Project) -> None:
    _, err = take_over(crate, "--set", "models.lengths.turned=true", code=4)
    assert err.endswith("made by another model.\nTake that one.\n")
    assert not (crate.folder / ".wmsforge/tests/steps/index/shelf.json").exists()


def test_a_provider_that_does_not_answer_is_an_error_of_the_import(crate: Project) -> None:
    _, err = take_over(crate, "--option", "fail=true", code=4)
    assert "The import into step 'index' cannot go on: timeout: no answer" in err


def test_a_workspace_in_use_is_left_alone(crate: Project) -> None:
    (crate.folder / ".wmsforge").mkdir()
    with FileLock(crate.folder / ".wmsforge/lock"):
        assert "The workspace .wmsforge is in use by" in take_over(crate, code=4)[1]


@pytest.mark.parametrize(
    ("steps", "arguments", "code", "said"),
    [
        ("", ["--step", "indx"], 2, "--step: no step is called 'indx'. Did you mean 'index'?"),
        ("", ["--step", "documents"], 2, "--step: the step 'documents' keeps no vectors. Such are: 'index'."),
        ("", ["--option", "pth"], 2, "'pth' is not KEY=VALUE."),
        ("", ["--option", "fail=[1"], 2, "is no YAML"),
        ("", ["--option", "fail=7"], 2, "crate (see wmsforge components retriever crate)  fail: "),
        ("", ["--option", "depth=7"], 2, "depth: Extra inputs are not permitted"),
        ("", ["--reader", "shelf"], 3, "The retriever 'shelf' of import-test-plugin cannot give the vectors"),
        ("", ["--reader", "crat"], 3, "no retriever is called 'crat'. Did you mean 'crate'?"),
        (
            "  more: {use: shelf, from: documents, embedder: lengths}\n",
            [],
            2,
            "several steps keep vectors: 'index', 'more'. Choose: --step index",
        ),
        (
            "  two:\n    use: both\n    from: documents\n    retrievers:\n      - {use: shelf, embedder: lengths}\n"
            "      - {use: shelf, embedder: {use: lengths, turned: true}}\n",
            ["--step", "two"],
            2,
            "steps.two: an index is imported for one embedder, and step 'two' has 2.",
        ),
    ],
)
def test_mistakes_are_named(crate: Project, steps: str, arguments: list[str], code: int, said: str) -> None:
    (crate.folder / "recipe.yaml").write_text(RECIPE + steps, encoding="utf-8")
    assert said in take_over(crate, *arguments, code=code)[1]


def test_a_recipe_without_such_a_step_is_told_to_add_one(crate: Project) -> None:
    text = RECIPE[: RECIPE.index("  index:")]
    (crate.folder / "recipe.yaml").write_text(text, encoding="utf-8")
    assert "no step keeps vectors. Add one: index: {use: faiss, from: documents}" in take_over(crate, code=2)[1]


def test_a_folder_without_an_index_is_named(crate: Project) -> None:
    (crate.folder / "old/crate.txt").unlink()
    assert (
        "recipe.yaml: nothing to import for step 'index'. There is no file old/crate.txt."
        in take_over(crate, code=4)[1]
    )


def test_an_index_made_elsewhere_is_a_step_without_from(crate: Project) -> None:
    step = "  theirs: {use: crate, path: old, embedder: lengths}\n"
    (crate.folder / "recipe.yaml").write_text(RECIPE + step, encoding="utf-8")
    _, err = crate.run("run", "recipe.yaml", "--until", "theirs")
    assert "theirs done: old (4 passages, 0 encoded anew)" in err
    (crate.folder / "recipe.yaml").write_text(RECIPE + step.replace("{", "{from: documents, "), encoding="utf-8")
    _, err = crate.run("check", "recipe.yaml", code=2)
    assert "steps.theirs.from: the retriever 'crate' reads no step. Remove 'from'." in err
    (crate.folder / "recipe.yaml").write_text(RECIPE.replace(", from: documents", ""), encoding="utf-8")
    _, err = crate.run("check", "recipe.yaml", code=2)
    assert "a retriever needs 'from', a step that gives Documents." in err


def test_an_editor_knows_that_it_has_no_from(crate: Project) -> None:
    cases = crate.json("schema")["$defs"]["step"]["allOf"]
    by_name = {case["if"]["properties"]["use"].get("const"): case["then"] for case in cases}
    assert by_name["crate"]["properties"] == {"from": False}
    assert by_name["shelf"]["required"] == ["from"]
