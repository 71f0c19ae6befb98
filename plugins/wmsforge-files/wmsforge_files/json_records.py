"""JSON and JSON Lines: one Document a record, its fields kept and told as readable lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from wmsforge.errors import RecordError
from wmsforge_files.clean import clean
from wmsforge_files.source import Part, Source, title_of, unique_names

_MAX_DEPTH = 100
"""Deeper than any document, and shallow enough for every later reader and writer of the fields."""
_SPACE = re.compile(r"\s*")


def read_json(source: Source) -> Iterator[Part]:
    """Yield the records of a list or of JSON Lines, or a single value as one Document.

    An object whose only value is a list of objects, such as `{"faq": [...]}`, is that list.

    Raises:
        RecordError: `invalid_json` with line and column, or `too_deep`.
    """
    values = _values(_text(source))
    value = values[0] if len(values) == 1 else values
    if isinstance(value, dict) and len(value) == 1:
        (only,) = value.values()
        if isinstance(only, list) and only and all(isinstance(item, dict) for item in only):
            value = only
    if isinstance(value, list):
        for row, record in enumerate(value, 1):
            yield _part(record, row)
    else:
        yield _part(value, None)


def read_json_lines(source: Source) -> Iterator[Part]:
    """Yield a record a line; lines that are not JSON are reported and skipped.

    Raises:
        RecordError: If no line is JSON.
    """
    bad: list[str] = []
    good = False
    for number, line in enumerate(re.split(r"\r\n?|\n", _text(source)), 1):
        if not line.strip():
            continue
        try:
            (value,) = _values(line, number)
            yield _part(value, number)
            good = True
        except (RecordError, ValueError) as error:
            bad.append(error.detail if isinstance(error, RecordError) else f"line {number} holds several values.")
    if bad and not good:
        raise RecordError("invalid_json", bad[0])
    if bad:
        source.warn(f"{len(bad)} lines are not JSON and were skipped, the first: {bad[0]}")


def _text(source: Source) -> str:
    # Not yet `clean`: it would break lines within strings.
    return source.decoded().replace("\0", "").removeprefix("\ufeff")


def _part(value: Any, row: int | None) -> Part:
    fields = value if isinstance(value, dict) else {"value": value}
    return Part("\n".join(_lines(value)), title=title_of(fields), row=row, fields=fields)


def _values(text: str, line: int = 1) -> list[Any]:
    """Return the values that stand one after another in the text, their strings cleaned.

    Raises:
        RecordError: If it is not JSON. `line` is the number of the text's first line.
    """
    # Numbers that JSON does not know stay as they are written, and so do doubled keys (numbered).
    decoder = json.JSONDecoder(strict=False, parse_constant=str, object_pairs_hook=_object)
    values = []
    position = _end_of_space(text, 0)
    try:
        while position < len(text):
            value, end = decoder.raw_decode(text, position)
            values.append(_cleaned(value, 0))
            position = _end_of_space(text, end)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno + line - 1}, column {error.colno}"
        raise RecordError("invalid_json", f"At {where} the text is not JSON: {error.msg}.") from error
    except ValueError as error:  # an integer of thousands of digits
        raise RecordError("invalid_json", f"From line {line} on: {error}.") from error
    except RecursionError as error:
        raise _too_deep() from error
    return values


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match  # it matches nothing, too
    return match.end()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = unique_names([clean(name) for name, _ in pairs])
    return dict(zip(names, (value for _, value in pairs), strict=True))


def _cleaned(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (list, dict)) and depth == _MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, list):
        return [_cleaned(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {name: _cleaned(item, depth + 1) for name, item in value.items()}
    return value


def _too_deep() -> RecordError:
    return RecordError("too_deep", f"The values are nested more than {_MAX_DEPTH} levels deep. Flatten the file.")


def _lines(value: Any) -> Iterator[str]:
    """Yield readable lines: `name: value`, `- item`, nested ones indented; nulls and empty values left out."""
    if isinstance(value, dict):
        for name, item in value.items():
            lines = list(_lines(item))
            if isinstance(item, (dict, list)) and lines:
                yield f"{name}:"
                yield from (f"  {line}" for line in lines)
            elif lines:
                yield f"{name}: {lines[0]}"
                yield from lines[1:]
    elif isinstance(value, list):
        for item in value:
            for number, line in enumerate(_lines(item)):
                yield f"  {line}" if number else f"- {line}"
    elif isinstance(value, str):
        yield from value.strip().split("\n") if value.strip() else ()
    elif value is not None:
        yield json.dumps(value)
