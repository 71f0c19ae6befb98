"""A pickle reader that runs nothing: plain values, and inert stand-ins for the classes it is told.

`pickle.load` imports what the file names and calls it. Here no name is looked up and nothing is called: the
instructions that a store of documents needs are carried out by the few lines below, the others do not exist.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Collection
from typing import Any

MAX_DEPTH = 10_000
"""Values that wait on the stack at once; a pickler leaves at most some thousand there."""
MAX_INTEGER_BITS = 64
_SETS = {("builtins", "set"), ("builtins", "frozenset"), ("__builtin__", "set"), ("__builtin__", "frozenset")}
_SHOWN_CHARS = 100
_Name = tuple[str, str]


class RefusedError(ValueError):
    """The file is damaged or wants more than plain values. The message completes 'the file ...'."""


class StandIn:
    """An object of a class that was named: the name, and the state that the file gives it. It has no behaviour."""

    __slots__ = ("name", "state")

    def __init__(self, name: _Name) -> None:
        self.name = name
        self.state: Any = None


class _ClassName:
    """A class as the file names it; nothing was imported."""

    __slots__ = ("name",)

    def __init__(self, name: _Name) -> None:
        self.name = name


def read_pickle(data: bytes, classes: Collection[_Name]) -> Any:
    """Return what a pickle holds, in plain values and `StandIn`s; time and memory are bounded by its size.

    Args:
        classes: (module, name) of the classes whose objects become stand-ins.

    Raises:
        RefusedError: If it is damaged, or names another class, or uses an instruction that plain values do not need.
    """
    machine = _Machine(classes, copies=len(data))
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return machine.finish()
            machine.step(opcode.name, argument)
    except RefusedError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise RefusedError(f"is damaged or no pickle ({type(error).__name__}: {_shown(str(error))})") from error
    raise RefusedError("ends before its end mark")


class _Machine:
    def __init__(self, classes: Collection[_Name], copies: int) -> None:
        self._classes = classes
        self._copies = copies
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._stack.append(_small(argument))
        elif (act := _ACTS.get(name)) is not None:
            act(self, argument)
        else:
            raise RefusedError(f"uses the pickle instruction {name}, which plain documents do not need")
        if len(self._stack) + len(self._marks) > MAX_DEPTH:
            raise RefusedError(f"nests its values more than {MAX_DEPTH:,} deep")

    def finish(self) -> Any:
        if len(self._stack) != 1 or self._marks:
            raise RefusedError(f"is damaged: {len(self._stack)} values are left at its end")
        return self._stack[0]

    def _pop(self) -> Any:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise RefusedError("is damaged: a value is missing")
        return self._stack.pop()

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _top(self, kind: type[Any]) -> Any:
        value = self._stack[-1]
        if type(value) is not kind or (self._marks and len(self._stack) <= self._marks[-1]):
            raise RefusedError(f"is damaged: it fills a {type(value).__name__} as if it were a {kind.__name__}")
        return value

    # -- instructions

    def _nothing(self, _: Any) -> None:
        """Protocol and frames say how to read, not what."""

    def _mark(self, _: Any) -> None:
        self._marks.append(len(self._stack))

    def _drop(self, _: Any) -> None:
        self._pop()

    def _drop_to_mark(self, _: Any) -> None:
        self._since_mark()

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _list(self, _: Any) -> None:
        self._stack.append(self._since_mark())

    def _dict(self, _: Any) -> None:
        values = self._since_mark()
        self._stack.append({})
        self._set_pairs(values)

    def _frozenset(self, _: Any) -> None:
        self._stack.append(frozenset(map(_key, self._since_mark())))

    def _append(self, _: Any) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self, _: Any) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _set_item(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._set_pairs([key, value])

    def _set_items(self, _: Any) -> None:
        self._set_pairs(self._since_mark())

    def _set_pairs(self, values: list[Any]) -> None:
        target = self._top(dict)
        if len(values) % 2:
            raise RefusedError("is damaged: a key has no value")
        target.update(zip(map(_key, values[::2]), values[1::2], strict=True))

    def _add_items(self, _: Any) -> None:
        values = self._since_mark()
        self._top(set).update(map(_key, values))

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def _name(self, written: str) -> None:
        module, _, name = written.partition(" ")
        self._push_class(module, name)

    def _stack_name(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise RefusedError("is damaged: it names a class by something that is no text")
        self._push_class(module, name)

    def _push_class(self, module: str, name: str) -> None:
        if (module, name) not in self._classes and (module, name) not in _SETS:
            raise RefusedError(f"wants to build {_shown(f'{module}.{name}')}")
        self._stack.append(_ClassName((module, name)))

    def _new(self, _: Any) -> None:
        arguments, of = self._pop(), self._pop()
        if type(of) is not _ClassName or of.name in _SETS or arguments != ():
            raise RefusedError("wants to make an object that is no document")
        self._stack.append(StandIn(of.name))

    def _call(self, _: Any) -> None:
        """Make a set of a list, as picklers before protocol 4 write one; there is no other call."""
        arguments, of = self._pop(), self._pop()
        is_set = type(of) is _ClassName and of.name in _SETS
        if not is_set or type(arguments) is not tuple or len(arguments) != 1 or type(arguments[0]) is not list:
            raise RefusedError("wants to call something")
        self._copies -= len(arguments[0])  # one list may be copied again and again
        if self._copies < 0:
            raise RefusedError("unfolds to much more than its size")
        self._stack.append(set(map(_key, arguments[0])))

    def _build(self, _: Any) -> None:
        state = self._pop()
        self._top(StandIn).state = state


def _constant(value: Any) -> Callable[[_Machine, Any], None]:
    """Return the instruction that pushes a value, or a new one of a type."""

    def push(machine: _Machine, _: Any) -> None:
        machine._stack.append(value() if isinstance(value, type) else value)

    return push


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    """Return the instruction that makes a tuple of the last values."""

    def push(machine: _Machine, _: Any) -> None:
        values = [machine._pop() for _ in range(count)]
        machine._stack.append(tuple(reversed(values)))

    return push


_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
_M = _Machine
_ACTS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _M._nothing,
    "FRAME": _M._nothing,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": _constant(list),
    "EMPTY_DICT": _constant(dict),
    "EMPTY_SET": _constant(set),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "MARK": _M._mark,
    "POP": _M._drop,
    "POP_MARK": _M._drop_to_mark,
    "TUPLE": _M._tuple,
    "LIST": _M._list,
    "DICT": _M._dict,
    "FROZENSET": _M._frozenset,
    "APPEND": _M._append,
    "APPENDS": _M._appends,
    "SETITEM": _M._set_item,
    "SETITEMS": _M._set_items,
    "ADDITEMS": _M._add_items,
    "MEMOIZE": _M._memoize,
    "PUT": _M._put,
    "BINPUT": _M._put,
    "LONG_BINPUT": _M._put,
    "GET": _M._get,
    "BINGET": _M._get,
    "LONG_BINGET": _M._get,
    "GLOBAL": _M._name,
    "STACK_GLOBAL": _M._stack_name,
    "NEWOBJ": _M._new,
    "REDUCE": _M._call,
    "BUILD": _M._build,
}


def _small(value: Any) -> Any:
    if type(value) is int and value.bit_length() > MAX_INTEGER_BITS:
        raise RefusedError(f"holds an integer of {value.bit_length():,} bits")
    return value


def _key(value: Any) -> str | int | None:
    """Return a key or a member of a set. Only these: the hash of a nested value may take for ever, or the stack."""
    if type(value) in (str, int, bool) or value is None:
        return value  # type: ignore[no-any-return]
    raise RefusedError(f"uses a {type(value).__name__} as a key")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}...")
