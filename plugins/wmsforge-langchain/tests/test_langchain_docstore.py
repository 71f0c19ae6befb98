"""What is taken from `index.pkl`, in the layouts of all years, and what is said when it is something else."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from langchain_folder import LAYOUTS, TODAY, Layout, classes, pickled, state_of
from wmsforge_langchain.docstore import Chunk, read_docstore
from wmsforge_langchain.passages import document, passage
from wmsforge_langchain.pickle_machine import RefusedError

TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("입고 검수는 4시간 안에 끝낸다.", {"source": "data/manual.pdf", "page": 0, "start_index": 120}),
    ("피킹은 구역별로 한다.", {"source": "data/manual.pdf", "page": 11}),
    ("반품은 R 구역으로 보낸다.", {}),
]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_the_layouts_of_all_years_give_the_same_chunks(layout: Layout) -> None:
    assert read_docstore(pickled(TEXTS, layout)) == [Chunk(text, metadata) for text, metadata in TEXTS]


def test_the_order_is_that_of_the_vectors_and_documents_without_one_are_left_out() -> None:
    with classes(TODAY) as (store, document_class):
        made = {id: document_class(state_of(TODAY, id, {})) for id in ("a", "b", "gone")}
        data = pickle.dumps((store({"_dict": made}), {1: "a", 0: "b"}))
    assert [chunk.text for chunk in read_docstore(data)] == ["b", "a"]


def test_text_is_nfc_and_what_utf_8_cannot_hold_is_replaced() -> None:
    (chunk,) = read_docstore(pickled([("가\udc80나", {"출처\ud800": "a\udfffb"})]))
    assert chunk == Chunk("가\ufffd나", {"출처\ufffd": "a\ufffdb"})


def test_metadata_is_kept_as_json_has_it() -> None:
    metadata = {
        "n": 1,
        "x": 1.5,
        "nan": float("nan"),
        "yes": True,
        "no": None,
        "list": [1, ("a",)],
        7: "seven",
        "b": b"\0",
    }
    (chunk,) = read_docstore(pickled([("text", metadata)]))
    assert chunk.metadata == {
        "n": 1,
        "x": 1.5,
        "nan": None,
        "yes": True,
        "no": None,
        "list": [1, ["a"]],
        "7": "seven",
        "b": None,
    }


def _store_and(ids: Any, documents: Any = None, state: Any = None) -> bytes:
    with classes(TODAY) as (store, document_class):
        made = {"a": document_class(state_of(TODAY, "text", {}))} if documents is None else documents
        return pickle.dumps((store({"_dict": made} if state is None else state), ids))


@pytest.mark.parametrize(
    ("found", "data"),
    [
        ("holds a value of type list, and not the pair", pickle.dumps([1, 2])),
        ("holds a value of type int where the store", pickle.dumps((1, {}))),
        ("gives its store nothing as '_dict'", _store_and({0: "a"}, state={"other": 1})),
        ("gives its store a value of type list instead of named values", _store_and({0: "a"}, state=[1])),
        ("does not say which document belongs", _store_and({1: "a"})),
        ("does not say which document belongs", _store_and(["a"])),
        ("names a document that it does not hold", _store_and({0: "b"})),
        ("names a document that it does not hold", _store_and({0: ("a",)})),
        ("holds a value of type str where a document", _store_and({0: "a"}, documents={"a": "text"})),
        ("gives a document a value of type int as 'page_content'", pickled([(5, {})])),  # type: ignore[list-item]
        ("gives a document's metadata a value of type list", pickled([("text", [1])])),  # type: ignore[list-item]
        ("is damaged or no pickle", b""),
        ("is damaged or no pickle", b'{"index": "json"}'),
    ],
)
def test_something_else_is_refused_in_words(found: str, data: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        read_docstore(data)
    assert found in str(refused.value)


def test_a_passage_has_its_place_in_the_original_only_where_langchain_kept_it() -> None:
    chunks = [Chunk(text, metadata) for text, metadata in TEXTS]
    first, second, third = (passage(chunk, position, "db/index.pkl") for position, chunk in enumerate(chunks))
    assert (first.path, first.page, first.row, first.start, first.end) == ("data/manual.pdf", 1, None, 120, 138)
    assert (second.page, second.start, second.end) == (12, 0, len(second.text))
    assert (third.path, third.page, third.start) == ("db/index.pkl", None, 0)
    assert len({found.document_id for found in (first, second, third)}) == 3


@pytest.mark.parametrize(
    ("metadata", "page", "row", "start"),
    [
        ({"source": "a", "start_index": -1}, None, None, 0),  # LangChain did not find it
        ({"start_index": 7}, None, None, 0),  # in a text that has no name
        ({"source": "a", "page_number": 3}, 3, None, 0),
        ({"source": "a.csv", "row": 0}, None, 1, 0),
        ({"source": "a", "page": "iv", "row": True}, None, None, 0),
        ({"source": 5, "page": -2}, None, None, 0),
    ],
)
def test_odd_metadata_gives_no_odd_place(metadata: dict[str, Any], page: int, row: int, start: int) -> None:
    found = passage(Chunk("text", metadata), 0, "index.pkl")
    assert (found.page, found.row, found.start, found.end) == (page, row, start, start + 4)


def test_a_document_is_the_chunk_itself_numbered_as_in_the_index() -> None:
    made = document(Chunk(*TEXTS[1]), 1, "db/index.pkl", "0" * 64)
    assert (made.text, made.path, made.page, made.row, made.title) == (TEXTS[1][0], "data/manual.pdf", 12, 2, "")
    assert made.fields == TEXTS[1][1]
