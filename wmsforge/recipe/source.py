"""A recipe's text: read, with `--set` applied, and every value traceable to its line or its `--set`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wmsforge.errors import Problem, RecipeError, did_you_mean
from wmsforge.yaml import yaml12
from wmsforge.yaml.yaml12 import dotted

MAX_BYTES = 1_000_000


@dataclass
class Source:
    """A recipe's value as written, the places of its parts, and the problems found so far."""

    path: str
    value: Any
    places: dict[yaml12.Path, tuple[int, int]]
    problems: list[Problem]
    overridden: set[yaml12.Path] = field(default_factory=set)
    """Paths whose value came from `--set`."""

    def problem(self, path: yaml12.Path, message: str, where: yaml12.Path | None = None) -> None:
        """Note what is wrong at `path`; `where` names another path in the message than the place shown."""
        message = " ".join(message.splitlines())
        for length in range(len(path), -1, -1):
            known = path[:length]
            if known in self.overridden:
                self.problems.append(Problem(0, 0, f"--set {dotted(path)}", message))
                return
            if known in self.places:
                break
        line, column = self.places.get(known, (1, 1))
        self.problems.append(Problem(line, column, dotted(path if where is None else where), message))

    def line(self, path: yaml12.Path) -> int:
        """Return the line of a path, or of the nearest thing around it that stands in the file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]][0]
        return 1

    def close(self) -> None:
        """Raise all problems at once.

        Raises:
            RecipeError: If there are any.
        """
        if self.problems:
            raise RecipeError(self.path, self.problems)


def read_source(path: Path, overrides: Sequence[str] = ()) -> Source:
    """Return a recipe file with `--set` applied.

    Args:
        overrides: Texts such as `steps.answers.top_k=5`, applied in order; the value is YAML.

    Raises:
        RecipeError: If the file cannot be read or is not a YAML mapping.
    """
    tree = yaml12.parse(_text(path))
    source = Source(str(path), tree.value, tree.places, tree.problems)
    if not isinstance(tree.value, dict):
        if not tree.problems:
            source.problem((), "a recipe is a mapping with the keys name, models and steps.")
        source.close()
    for override in overrides:
        _apply(source, override)
    return source


def _text(path: Path) -> str:
    """Return a file's text.

    Raises:
        RecipeError: If it is missing, too long or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near = sorted(str(other) for other in path.parent.glob("*.y*ml"))
        raise _unreadable(path, f"there is no such file.{did_you_mean(str(path), near)}") from None
    except OSError as error:
        raise _unreadable(path, f"the file cannot be read: {error.strerror}.") from error
    if len(data) > MAX_BYTES:
        raise _unreadable(path, f"the file is longer than {MAX_BYTES:,} bytes; a recipe is some pages of text.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = (
            f"byte 0x{data[error.start]:02X} is not UTF-8. Save the file as UTF-8; "
            f"if it is CP949: iconv -f CP949 -t UTF-8 {path.name} > new.yaml"
        )
        raise RecipeError(str(path), [Problem(line, column, "", message)]) from error


def _unreadable(path: Path, message: str) -> RecipeError:
    return RecipeError(str(path), [Problem(0, 0, "", message)])


def _apply(source: Source, override: str) -> None:
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    where = f"--set {name.strip()}"
    if not equals or "" in keys:
        message = "must be a path, '=' and a value, such as steps.answers.top_k=5."
        source.problems.append(Problem(0, 0, where, message))
        return
    tree = yaml12.parse(text) if text.strip() else yaml12.Tree()
    if tree.problems:
        source.problems.extend(Problem(0, 0, where, problem.message) for problem in tree.problems)
        return
    try:
        path = _put(source.value, keys, tree.value)
    except LookupError as error:
        source.problems.append(Problem(0, 0, where, str(error.args[0])))
        return
    for below in [known for known in source.places if known[: len(path)] == path]:
        del source.places[below]
    source.overridden.add(path)


def _put(value: Any, keys: Sequence[str], new: Any) -> yaml12.Path:
    """Put a value where `keys` lead, through what is there, and return the path.

    Raises:
        LookupError: If something on the way is not there, or steps or models have no such id.
    """
    if keys[0] == "budget" and value.get("budget") is None:
        value["budget"] = {}
    path: list[str | int] = []
    for depth, key in enumerate(keys, start=1):
        here = dotted(tuple(path)) or "the recipe"
        last = depth == len(keys)
        place: str | int = key
        if isinstance(value, list):
            place = int(key) if key.isdecimal() else len(value)
            if place >= len(value):
                raise LookupError(f"{here} is a list of {len(value)}; its places count from 0.")
        elif not isinstance(value, dict):
            raise LookupError(f"{here} is a single value. Set it whole: --set {here}=...")
        elif key not in value and not (last and (depth != 2 or keys[0] == "budget")):
            raise LookupError(f"{here} has no {key!r}.{did_you_mean(key, list(value))}")
        path.append(place)
        if last:
            value[place] = new
        else:
            value = value[place]
    return tuple(path)
