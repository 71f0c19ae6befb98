"""The documents of `index.pkl`: which classes LangChain pickled over the years, and what is kept of them.

The file holds a pair: the document store, and the id of the document of each vector.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wmsforge_langchain.pickle_machine import RefusedError, StandIn, read_pickle

STORES = frozenset(
    (module, "InMemoryDocstore")
    for module in (
        "langchain.docstore.in_memory",
        "langchain_community.docstore.in_memory",
        "langchain_classic.docstore.in_memory",
    )
)
DOCUMENTS = frozenset(
    (module, "Document")
    for module in (
        "langchain.docstore.document",  # early 2023
        "langchain.schema",  # while that was a single file
        "langchain.schema.document",
        "langchain_core.documents.base",
    )
)
MAX_METADATA_DEPTH = 8
_MOST_MARKS = 1000
_GROWTH, _LEAST = 16, 1_000_000
"""One text may stand in many documents, so they may hold this many times the file's bytes, and this much always."""


class Chunk(NamedTuple):
    """A text that was embedded, in NFC, and what LangChain knew about it: plain values as JSON has them."""

    text: str
    metadata: Mapping[str, Any]


def read_docstore(data: bytes) -> list[Chunk]:
    """Return the chunks in the order of the vectors.

    Raises:
        RefusedError: If the file holds or wants anything else.
    """
    pair = read_pickle(data, STORES | DOCUMENTS)
    if type(pair) is not tuple or len(pair) != 2:
        raise RefusedError(f"holds {_what(pair)}, and not the pair that LangChain's FAISS.save_local writes")
    store, ids = pair
    if not isinstance(store, StandIn) or store.name not in STORES:
        raise RefusedError(f"holds {_what(store)} where the store of documents should be")
    documents = _field(_mapping(store.state, "its store"), "_dict", dict, "its store")
    if type(ids) is not dict or ids.keys() != set(range(len(ids))):
        raise RefusedError("does not say which document belongs to which vector")
    budget = _Budget(max(_LEAST, _GROWTH * len(data)))
    return [_chunk(documents, ids[position], budget) for position in range(len(ids))]


class _Budget:
    """What may still be unfolded, in characters and values."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, amount: int) -> None:
        self._left -= amount
        if self._left < 0:
            raise RefusedError("unfolds to much more than its size")


def _chunk(documents: Mapping[Any, Any], id: Any, budget: _Budget) -> Chunk:
    if type(id) not in (str, int) or id not in documents:
        raise RefusedError("names a document that it does not hold; the store was not saved whole")
    document = documents[id]
    if not isinstance(document, StandIn) or document.name not in DOCUMENTS:
        raise RefusedError(f"holds {_what(document)} where a document should be")
    state = _mapping(document.state, "a document")
    fields = _mapping(
        state.get("__dict__", state), "a document"
    )  # pydantic, 1 or 2, puts the fields into one of its own
    text = _field(fields, "page_content", str, "a document")
    metadata = fields.get("metadata")
    budget.take(len(text) + 1)
    plain = _plain(metadata if metadata is not None else {}, budget)
    return Chunk(_readable(text), _mapping(plain, "a document's metadata"))


def _plain(value: Any, budget: _Budget, depth: int = 0) -> Any:
    """Return a value as JSON has it; what JSON has not is left out."""
    if depth > MAX_METADATA_DEPTH:
        raise RefusedError(f"nests metadata more than {MAX_METADATA_DEPTH} levels deep")
    budget.take(1)
    if isinstance(value, str):
        budget.take(len(value))
        return _readable(value)
    if isinstance(value, dict):
        return {_readable(key): _plain(item, budget, depth + 1) for key, item in _named(value, budget)}
    if isinstance(value, (list, tuple)):
        return [_plain(item, budget, depth + 1) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) else None  # a boolean is an integer; bytes, sets and objects are left out


def _named(value: Mapping[Any, Any], budget: _Budget) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        name = str(key)
        budget.take(len(name))
        yield name, item


def _readable(text: str) -> str:
    """Return NFC text; half a character, which a pickle can hold and UTF-8 cannot, is replaced."""
    if len(text) > _MOST_MARKS:
        _check_marks(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return unicodedata.normalize("NFC", text)


def _check_marks(text: str) -> None:
    """Raise RefusedError if accents are heaped on one letter: sorting them for NFC takes the square of their number."""
    run = 0
    for mark in map(unicodedata.combining, text):
        run = run + 1 if mark else 0
        if run > _MOST_MARKS:
            raise RefusedError(f"heaps more than {_MOST_MARKS:,} accents on one letter")


def _mapping(value: Any, owner: str) -> Mapping[str, Any]:
    if type(value) is not dict:
        raise RefusedError(f"gives {owner} {_what(value)} instead of named values")
    return value


def _field(values: Mapping[str, Any], name: str, kind: type[Any], owner: str) -> Any:
    value = values.get(name)
    if type(value) is not kind:
        raise RefusedError(f"gives {owner} {_what(value)} as {name!r}")
    return value


def _what(value: Any) -> str:
    if isinstance(value, StandIn):
        return f"an object of {'.'.join(value.name)}"
    return "nothing" if value is None else f"a value of type {type(value).__name__}"
