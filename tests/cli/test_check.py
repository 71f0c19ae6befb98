"""`wmsforge check`."""

from __future__ import annotations

from cli_project import Project


def test_a_valid_recipe_is_summed_up_in_one_line(project: Project) -> None:
    assert project.run("check", "recipe.yaml") == ("recipe.yaml is valid: 6 steps, 1 model.\n", "")


def test_mistakes_go_to_stderr_with_exit_code_2(project: Project) -> None:
    out, err = project.run("check", "recipe.yaml", "--set", "steps.questions.count=many", code=2)
    assert out == ""
    assert err == (
        "recipe.yaml  --set steps.questions.count: must be an integer, got 'many'.\n"
        "recipe.yaml has 1 error; nothing was run.\n"
    )


def test_json_says_what_is_valid_and_what_is_wrong(project: Project) -> None:
    assert project.json("check", "recipe.yaml", "--json") == {
        "recipe": "recipe.yaml",
        "valid": True,
        "steps": ["documents", "index", "questions", "answers", "kept", "dataset"],
        "models": ["expert"],
        "problems": [],
    }
    project.write_recipe(more="  late: {use: ending, from: answer}\n")
    out, err = project.run("check", "recipe.yaml", "--json", code=2)
    assert err == ""
    assert '"valid": false' in out
    assert '"line": 12' in out
    assert "no step is called 'answer'. Did you mean 'answers'?" in out


def test_a_disabled_plugin_is_told_with_line_plugin_and_remedy(project: Project) -> None:
    _, err = project.run("--no-plugin", "cli-test-plugin", "check", "recipe.yaml", code=2)
    assert err.splitlines()[1] == (
        "recipe.yaml:6:15  steps.documents.use: loader 'texts' comes from the plugin 'cli-test-plugin', "
        "which is disabled. Enable it: leave it out of --no-plugin, and name it in WMSFORGE_PLUGINS if that is set."
    )


def test_a_recipe_that_is_not_there_is_told_with_close_names(project: Project) -> None:
    _, err = project.run("check", "recpie.yaml", code=2)
    assert err.splitlines()[0] == "recpie.yaml  there is no such file. Did you mean 'recipe.yaml'?"


def test_checking_writes_nothing(project: Project) -> None:
    before = sorted(path.name for path in project.folder.rglob("*"))
    project.run("check", "recipe.yaml")
    assert sorted(path.name for path in project.folder.rglob("*")) == before
