"""YAML as its version 1.2 means it (core schema), with the place of every key and list item.

PyYAML follows version 1.1, where `no` is false, `010` is eight, `1e3` is text and `12:30:45` is a
number. Here `no` is text, `010` is ten, `0o10` is eight, `1e3` is a number, dates are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from yaml.composer import Composer
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from wmsforge.errors import Problem
from wmsforge.yaml.syntax import syntax_problem

MAX_VALUES = 20_000
"""Values a file may hold with its aliases followed; a recipe has some hundred."""

Path = tuple[str | int, ...]
"""Where a value stands: keys and list indexes from the top."""

_TAG = "tag:yaml.org,2002:"
_MERGE = _TAG + "merge"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_SCALARS: dict[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    "null": (re.compile(r"null|Null|NULL|~|"), lambda text: None),
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), lambda text: text.lower() == "true"),
    "int": (_INT, lambda text: int(text, 10 if text.isdigit() or text[0] in "+-" else 0)),
    "float": (
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        ),
        lambda text: float(re.sub(r"\.(?=[infaINFA])", "", text)),
    ),
    "str": (re.compile(r".*", re.DOTALL), str),
}


@dataclass
class Tree:
    """A file's value, where its parts stand (line and column, 1-based), and what is wrong with it."""

    value: Any = None
    """None when the text cannot be read at all."""
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse(text: str) -> Tree:
    """Return what a YAML text holds. Mistakes come back as problems, all that can be found."""
    tree = Tree()
    try:
        node = _Composer(text).get_single_node()
        if node is None:
            tree.problems.append(Problem(1, 1, "", "the file is empty."))
        else:
            tree.value = _Walk(tree).value(node, ())
    except MarkedYAMLError as error:
        tree.problems.append(_problem(*syntax_problem(error, text)))
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        tree.problems.append(Problem(line, column, "", f"the character U+{error.character:04X} is not allowed."))
    except RecursionError:
        tree.problems.append(Problem(1, 1, "", "lists and mappings stand too deep in each other."))
    except _TooManyError:
        tree.value = None
        message = f"the file holds more than {MAX_VALUES:,} values, counting each time that an alias is used."
        tree.problems.append(Problem(1, 1, "", message))
    return tree


class _TooManyError(Exception):
    pass


class _Composer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML up to nodes, with the scalars of the 1.2 core schema and merge keys."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.count = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.count += 1
        if self.count > MAX_VALUES:
            raise _TooManyError
        node: Node | None = super().compose_node(parent, index)
        return node


for _name in ("null", "bool", "int", "float"):
    _Composer.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_SCALARS[_name][0].pattern})$"), None)
_Composer.add_implicit_resolver(_MERGE, re.compile("<<$"), ["<"])


class _Walk:
    """Turns nodes into values. An alias is walked wherever it stands, so each place has its path."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.count = 0
        self.inside: set[int] = set()

    def value(self, node: Node, path: Path) -> Any:
        self.spend(1)
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if id(node) in self.inside:
            self.wrong(node.start_mark, path, "an alias stands inside the value that it names.")
            return None
        if node.tag not in (_TAG + "map", _TAG + "seq"):
            self.wrong(node.start_mark, path, _bad_tag(node))
        self.inside.add(id(node))
        try:
            return self.mapping(node, path) if isinstance(node, MappingNode) else self.sequence(node, path)
        finally:
            self.inside.remove(id(node))

    def sequence(self, node: Node, path: Path) -> list[Any]:
        assert isinstance(node, SequenceNode)  # a node is a scalar, a mapping or a sequence
        values = []
        for index, item in enumerate(node.value):
            self.tree.places[*path, index] = _place(item.start_mark)
            values.append(self.value(item, (*path, index)))
        return values

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        values = {}
        for key, (key_node, value_node) in self.pairs(node, path).items():
            self.tree.places[*path, key] = _place(key_node.start_mark)
            values[key] = self.value(value_node, (*path, key))
        return values

    def pairs(self, node: MappingNode, path: Path) -> dict[str, tuple[Node, Node]]:
        """Return a mapping's own keys and, behind them, those it merges in."""
        own: dict[str, tuple[Node, Node]] = {}
        merged: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for base in value_node.value if isinstance(value_node, SequenceNode) else [value_node]:
                    merged = {**self.merged(base, path), **merged}  # the first of several wins
                continue
            key = self.scalar(key_node, path) if isinstance(key_node, ScalarNode) else None
            if not isinstance(key, str):
                hint = f" Write it in quotes: '{key_node.value}'." if isinstance(key_node, ScalarNode) else ""
                self.wrong(key_node.start_mark, path, f"a key must be text.{hint}")
            elif key in own:
                first = own[key][0].start_mark.line + 1
                self.wrong(key_node.start_mark, path, f"the key {key!r} stands here again; it is on line {first} too.")
            else:
                own[key] = (key_node, value_node)
        return {**merged, **own}

    def merged(self, base: Node, path: Path) -> dict[str, tuple[Node, Node]]:
        if not isinstance(base, MappingNode) or id(base) in self.inside:
            self.wrong(base.start_mark, path, "'<<' must name a mapping, or a list of mappings, that stands elsewhere.")
            return {}
        self.inside.add(id(base))
        pairs = self.pairs(base, path)
        self.inside.remove(id(base))
        self.spend(len(pairs))
        return pairs

    def scalar(self, node: ScalarNode, path: Path) -> Any:
        pattern, convert = _SCALARS.get(node.tag.removeprefix(_TAG), (None, None))
        if node.tag == _MERGE:
            return node.value
        if pattern is None or convert is None or not pattern.fullmatch(node.value):
            self.wrong(node.start_mark, path, _bad_tag(node))
            return node.value
        try:
            node.value.encode()
            return convert(node.value)
        except UnicodeEncodeError:
            self.wrong(node.start_mark, path, "the text holds half of a character (an unpaired surrogate).")
        except ValueError:  # Python reads integers of up to 4,300 digits
            self.wrong(node.start_mark, path, "the number has too many digits.")
        return None

    def spend(self, values: int) -> None:
        self.count += values
        if self.count > MAX_VALUES:
            raise _TooManyError

    def wrong(self, mark: Mark, path: Path, message: str) -> None:
        problem = _problem(mark, message, dotted(path))
        if problem not in self.tree.problems:  # what several aliases name is wrong once
            self.tree.problems.append(problem)


def dotted(path: Path) -> str:
    """Return `steps.answers.top_k`; list indexes count from 0."""
    return ".".join(str(part) for part in path)


def _bad_tag(node: Node) -> str:
    name = node.tag.removeprefix(_TAG)
    if name in _SCALARS and isinstance(node, ScalarNode):
        return f"{node.value!r} is not of the type !!{name}."
    shown = "!!" + name if name != node.tag else node.tag
    return f"the tag {shown!r} is not allowed; a recipe holds plain values."


def _place(mark: Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


def _problem(mark: Mark | None, message: str, where: str = "") -> Problem:
    line, column = _place(mark) if mark else (1, 1)
    return Problem(line, column, where, message)
