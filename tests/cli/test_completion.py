"""What the shell offers at Tab, and what it costs."""

import subprocess
import sys

import pytest
from cli_project import Project

HEAVY = ("pydantic", "asyncio", "rich", "llama_index", "faiss", "torch")


def complete(project: Project, line: str) -> list[str]:
    """Return what bash would offer for the last word of a line."""
    words = line.split(" ")
    environment = {"_WMSFORGE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    script = (
        "import sys\n"
        "from wmsforge.cli import main\n"
        "try:\n    main(prog_name='wmsforge')\n"
        f"finally:\n    print('loaded', *(name for name in {HEAVY} if name in sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.folder,
        env=project.environment | environment,
        capture_output=True,
        text=True,
    )
    *offered, loaded = done.stdout.splitlines()
    assert loaded == "loaded", f"Tab is slow with these: {loaded}{done.stderr}"
    return [item.removeprefix("plain,") for item in offered if item]


def test_commands_are_offered(finished: Project) -> None:
    commands = {"check", "components", "init", "peek", "plan", "plugins", "run", "schema", "status"}
    assert commands <= set(complete(finished, "wmsforge "))
    assert complete(finished, "wmsforge pe") == ["peek"]


def test_recipes_are_offered_and_other_yaml_is_not(project: Project) -> None:
    (project.folder / "recipes").mkdir()
    (project.folder / "recipes/personas.yaml").write_text("personas: []\n", encoding="utf-8")
    (project.folder / "recipes/wms.yaml").write_text("name: wms\nsteps:\n", encoding="utf-8")
    assert complete(project, "wmsforge run ") == ["recipe.yaml", "recipes/wms.yaml"]
    assert complete(project, "wmsforge peek recipes/w") == ["recipes/wms.yaml"]
    assert complete(project, "wmsforge run nothing") == ["file,nothing"]


@pytest.mark.parametrize("recipe", ["recipe.yaml", "tests"])
def test_steps_are_offered_for_a_file_and_for_a_name(finished: Project, recipe: str) -> None:
    assert complete(finished, f"wmsforge peek {recipe} d") == ["documents", "dataset"]
    assert complete(finished, f"wmsforge run {recipe} --until ") == [
        "documents",
        "index",
        "questions",
        "answers",
        "kept",
        "dataset",
    ]


def test_a_recipe_that_is_not_there_offers_no_steps(finished: Project) -> None:
    assert complete(finished, "wmsforge peek nowhere.yaml ") == []
