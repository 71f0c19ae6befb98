"""`wmsforge init`: a new project folder from a bundled recipe."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from wmsforge.cli.stored import NotFoundError, is_recipe
from wmsforge.errors import WmsforgeError, did_you_mean

_LEFT_OUT = {".py", ".pyc"}
"""Suffixes of files that made the samples and that a project does not need."""


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--recipe", default="quickstart", show_default=True, metavar="NAME", help="The bundled recipe to copy.")
@click.option("--list", "listing", is_flag=True, help="List the bundled recipes.")
@click.pass_context
def init(context: click.Context, folder: Path | None, recipe: str, listing: bool) -> None:
    """Make FOLDER with a recipe that runs and all it reads: documents, personas, questions."""
    source = bundled()
    recipes = {path.stem: path for path in sorted(source.glob("*.yaml")) if is_recipe(path)}
    if listing:
        for name, path in recipes.items():
            click.echo(f"{name}  {_purpose(path)}".rstrip())
        return
    if folder is None:
        raise click.UsageError("Missing argument 'FOLDER'.", context)
    if recipe not in recipes:
        raise NotFoundError(
            f"No bundled recipe is called {recipe!r}.{did_you_mean(recipe, list(recipes))}\n"
            f"List them: wmsforge init --list"
        )
    targets = {path: folder / "recipes" / path.relative_to(source) for path in _files(source, recipes, recipe)}
    _refuse_to_overwrite(folder, list(targets.values()))
    for path, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    click.echo(f"{folder} holds recipes/{recipe}.yaml and what it reads, {len(targets)} files.", err=True)
    click.echo(f"Next: cd {shlex.quote(str(folder))} && wmsforge run recipes/{recipe}.yaml", err=True)


def bundled() -> Path:
    """Return the folder of the bundled recipes: in the wheel inside the package, in a checkout beside it."""
    package = Path(__file__).parents[1]
    inside = package / "_recipes"
    return inside if inside.is_dir() else package.parent / "recipes"


def _files(source: Path, recipes: dict[str, Path], recipe: str) -> Iterator[Path]:
    """Yield the recipe and everything that is no recipe."""
    others = {path for name, path in recipes.items() if name != recipe}
    for path in sorted(source.rglob("*")):
        if path.is_file() and path not in others and path.suffix not in _LEFT_OUT:
            yield path


def _refuse_to_overwrite(folder: Path, targets: list[Path]) -> None:
    there = [str(target) for target in targets if target.exists()]
    if there:
        shown = ", ".join(there[:3]) + (f" and {len(there) - 3} more" if len(there) > 3 else "")
        raise WmsforgeError(
            f"{folder} already holds {shown}; nothing was written.\nName another folder: wmsforge init FOLDER"
        )


def _purpose(path: Path) -> str:
    """Return the recipe's first comment line."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("#").strip().removeprefix("What:").strip() if first.startswith("#") else ""
