"""The YAML file of personas: a list under the key `personas`, each with the fields of `Persona`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wmsforge.builtin.text_file import read_text
from wmsforge.errors import Problem, StepError, did_you_mean
from wmsforge.records import Persona
from wmsforge.yaml import yaml12


def load_personas(path: Path) -> dict[str, Persona]:
    """Return the personas by name, in the order of the file.

    Raises:
        StepError: With all mistakes of the file at once, each with its line and column.
    """
    tree = yaml12.parse(read_text(path))
    problems = list(tree.problems)
    personas: dict[str, Persona] = {}
    lines: dict[str, int] = {}
    if not problems:
        for index, item in enumerate(_items(tree, problems)):
            persona = _persona(tree, ("personas", index), item, problems)
            if persona is None:
                continue
            line, column = tree.places["personas", index, "name"]
            if persona.name in personas:
                message = f"the name {persona.name!r} is taken by the persona of line {lines[persona.name]}."
                problems.append(Problem(line, column, f"personas.{index}.name", message))
                continue
            personas[persona.name], lines[persona.name] = persona, line
    if problems:
        name = path.as_posix()
        count = f"{name} has {len(problems)} error{'s' if len(problems) > 1 else ''}."
        raise StepError("\n".join([*(problem.render(name) for problem in sorted(problems)), count]))
    return personas


def _items(tree: yaml12.Tree, problems: list[Problem]) -> list[Any]:
    items = tree.value.get("personas") if isinstance(tree.value, dict) else None
    if not isinstance(items, list) or not items:
        problems.append(Problem(1, 1, "", "must hold the key 'personas' with a list: personas: [{name: ...}, ...]"))
        return []
    return items


def _persona(tree: yaml12.Tree, place: yaml12.Path, item: Any, problems: list[Problem]) -> Persona | None:
    line, column = tree.places[place]
    where = yaml12.dotted(place)
    if not isinstance(item, dict):
        known = ", ".join(Persona.model_fields)
        problems.append(Problem(line, column, where, f"must be a mapping of {known}; found {item!r}."))
        return None
    if isinstance(item.get("name"), str) and not item["name"].strip():
        problems.append(Problem(*tree.places[*place, "name"], f"{where}.name", "must not be empty."))
        return None
    try:
        return Persona.model_validate(item)
    except ValidationError as error:
        for fault in error.errors():
            at = (*place, *fault["loc"])
            spot = next(tree.places[at[:length]] for length in range(len(at), 0, -1) if at[:length] in tree.places)
            message = f"{fault['msg'].lower()}."
            if fault["type"] == "extra_forbidden":
                message = f"unknown field.{did_you_mean(str(fault['loc'][-1]), list(Persona.model_fields))}"
            problems.append(Problem(*spot, yaml12.dotted(at), message))
        return None
