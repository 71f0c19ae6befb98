"""`wmsforge init`: a project folder from what travels with the package."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cli_project import Project

from wmsforge.cli.init import bundled

ROOT = Path(__file__).parents[2]


def test_a_new_folder_holds_a_recipe_and_all_it_reads(project: Project) -> None:
    _, err = project.run("init", "new/place")
    home = project.folder / "new/place/recipes"
    assert err.splitlines()[-1] == "Next: cd new/place && wmsforge run recipes/quickstart.yaml"
    assert (home / "quickstart.yaml").read_bytes() == (bundled() / "quickstart.yaml").read_bytes()
    for name in ("personas.yaml", "questions.csv"):
        assert (home / name).read_bytes() == (bundled() / name).read_bytes()
    copied = {path.name for path in (home / "sample/documents").iterdir()}
    assert copied == {path.name for path in (bundled() / "sample/documents").iterdir()}
    assert not list(home.rglob("*.py"))


def test_nothing_is_overwritten(project: Project) -> None:
    there = project.folder / "mine/recipes/questions.csv"
    there.parent.mkdir(parents=True)
    there.write_text("mine", encoding="utf-8")
    _, err = project.run("init", "mine", code=1)
    assert err == (
        "mine already holds mine/recipes/questions.csv; nothing was written.\n"
        "Name another folder: wmsforge init FOLDER\n"
    )
    assert [path for path in (project.folder / "mine").rglob("*") if path.is_file()] == [there]
    assert there.read_text(encoding="utf-8") == "mine"


def test_the_bundled_recipes_are_listed_and_a_wrong_name_gets_the_close_one(project: Project) -> None:
    out, _ = project.run("init", "--list")
    names = [line.split()[0] for line in out.splitlines()]
    assert "quickstart" in names
    assert "personas" not in names
    _, err = project.run("init", "x", "--recipe", "quikstart", code=2)
    assert "No bundled recipe is called 'quikstart'. Did you mean 'quickstart'?" in err


@pytest.mark.slow
def test_the_wheel_carries_the_recipes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("wmsforge-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    script = "from wmsforge.cli.init import bundled; print(bundled())"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path / "site",
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    recipes = tmp_path / "site/wmsforge/_recipes"
    assert found.stdout.strip() == str(recipes)
    assert {path.relative_to(recipes) for path in recipes.rglob("*.yaml")} == {
        path.relative_to(ROOT / "recipes") for path in (ROOT / "recipes").rglob("*.yaml")
    }
