"""The pickle reader runs nothing, whatever the file says, and its time and memory are bounded."""

from __future__ import annotations

import copyreg
import datetime
import functools
import os
import pickle
import struct
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_folder import TODAY, classes, pickled, state_of
from wmsforge_langchain.docstore import DOCUMENTS, Chunk, read_docstore
from wmsforge_langchain.pickle_machine import MAX_DEPTH, RefusedError, StandIn, read_pickle

DOCUMENT = ("langchain_core.documents.base", "Document")
A_DOCUMENT = b"clangchain_core.documents.base\nDocument\n"
ORDINARY = pickled(
    [("재고 실사는 매주 한다.", {"source": "a.pdf", "page": 0}), ("피킹은 구역별로 한다.", {"tags": ["x", {"y": 1.5}]})]
)


class Reduced:
    """Pickles as a call of the test's choice."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced

    def __call__(self) -> None:
        """Pickle wants what it is to call to be callable."""


def touching(canary: Path) -> dict[str, bytes]:
    """Return pickles that make the file `canary` when they are loaded."""
    shell, python = f"touch '{canary}'", f"__import__('pathlib').Path({str(canary)!r}).touch()"
    extension = b"\x80\x04\x82\xf0X" + struct.pack("<I", len(shell.encode())) + shell.encode() + b"\x85R."
    calls: dict[str, Any] = {
        "os.system": Reduced(os.system, (shell,)),
        "eval": Reduced(eval, (python,)),
        "exec": Reduced(exec, (python,)),
        "subprocess": Reduced(subprocess.check_call, (["touch", str(canary)],)),
        "map in a list": [Reduced(list, (Reduced(map, (eval, [python])),))],
        "partial": Reduced(functools.reduce, (Reduced(functools.partial, (eval,)), [python, {}])),
        "getattr": Reduced(Reduced(getattr, (Path(canary), "touch")), ()),
        "a state setter": Reduced(list, (["touch", str(canary)],), -1, None, None, subprocess.check_call),
        "list items": Reduced(list, (), None, iter([Reduced(os.system, (shell,))])),
        "keyword arguments": Reduced(copyreg.__newobj_ex__, (functools.partial, (eval, python), {})),  # type: ignore[attr-defined]
    }
    made = {
        f"{name}, protocol {protocol}": pickle.dumps(call, protocol)
        for name, call in calls.items()
        for protocol in (0, 2, 4)
    }
    return made | {
        "extension registry": extension,
        "INST": f"(S{shell!r}\nios\nsystem\n.".encode(),
        "OBJ": b"(cos\nsystem\nS" + repr(shell).encode() + b"\no.",
        "dotted name": b"\x80\x04\x8c\x07pathlib\x8c\x0aPath.touch\x93\x8c\x07pathlib\x8c\x04Path\x93X"
        + struct.pack("<I", len(str(canary).encode()))
        + str(canary).encode()
        + b"\x85R\x85R.",
        "through an allowed module": b"\x80\x04\x8c\x1dlangchain_core.documents.base\x8c\x0bos.path.sys\x93.",
    }


@pytest.fixture
def extension() -> Any:
    copyreg.add_extension("os", "system", 0xF0)
    yield
    copyreg.remove_extension("os", "system", 0xF0)


@pytest.mark.usefixtures("extension")
def test_no_call_is_made_that_pickle_would_make(tmp_path: Path, watching: Callable[[], Any]) -> None:
    canary = tmp_path / "canary"
    ran = []
    for name, payload in touching(canary).items():
        canary.unlink(missing_ok=True)
        with suppress(Exception):
            pickle.loads(payload)
        ran += [name] if canary.exists() else []
        canary.unlink(missing_ok=True)
        for place in (payload, within_a_store(payload), within_metadata(payload)):
            with watching() as seen, pytest.raises(RefusedError, match=r"wants to|uses the pickle instruction"):
                read_docstore(place)
            assert not canary.exists(), name
            assert seen == [], name
    # The payloads are real: with pickle.load nearly all of them run.
    assert len(ran) >= 25, ran


def within_a_store(payload: bytes) -> bytes:
    """Return a saved store whose second part is the payload."""
    return within(payload, lambda store, document, marker: (store({"_dict": {}}), marker))


def within_metadata(payload: bytes) -> bytes:
    """Return a saved store with the payload as a value of a document's metadata."""
    return within(
        payload,
        lambda store, document, marker: (
            store({"_dict": {"a": document(state_of(TODAY, "text", {"source": marker}))}}),
            {0: "a"},
        ),
    )


def within(payload: bytes, build: Callable[..., Any]) -> bytes:
    """Pickle what is built, and put the payload's instructions where the marker stands."""
    marker = "MARKERMARKER"
    with classes(TODAY) as (store, document):
        outer = pickle.dumps(build(store, document, marker), 2)
    written = b"X" + struct.pack("<I", len(marker)) + marker.encode()
    assert outer.count(written) == 1
    bare = payload[2:] if payload[:1] == b"\x80" else payload
    if bare[:1] == b"\x95":  # a frame says only how far to read ahead
        bare = bare[9:]
    return outer.replace(written, bare[:-1])


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("'numpy._core.multiarray._reconstruct'", pickle.dumps(np.zeros(3), 4)),
        ("'numpy._core.multiarray.scalar'", pickle.dumps(np.float64(1), 4)),
        ("'copyreg._reconstructor'", b"ccopyreg\n_reconstructor\n."),
        ("'builtins.getattr'", pickle.dumps(Reduced(getattr, ("", "upper")), 4)),
        ("'functools.partial'", pickle.dumps(functools.partial(print), 4)),
        ("'posix.system'", pickle.dumps(os.system, 4)),
        ("'datetime.date'", pickle.dumps(datetime.date(2026, 1, 1), 4)),
        ("PERSID", b"Psomething\n."),
        ("BINPERSID", b"\x80\x04\x8c\x01aQ."),
        ("EXT1", b"\x80\x04\x82\x01."),
        ("EXT2", b"\x80\x04\x83\x01\x00."),
        ("EXT4", b"\x80\x04\x84\x01\x00\x00\x00."),
        ("NEXT_BUFFER", b"\x80\x05\x97."),
        ("BYTEARRAY8", pickle.dumps(bytearray(b"x"), 5)),
        ("NEWOBJ_EX", b"\x80\x04" + A_DOCUMENT + b")}\x92."),
        ("make an object", b"\x80\x04" + A_DOCUMENT + b"\x8c\x01a\x85\x81."),
        ("make an object", b"\x80\x04cbuiltins\nset\n)\x81."),
        ("call something", b"\x80\x04" + A_DOCUMENT + b")R."),
        ("call something", b"\x80\x04cbuiltins\nset\n\x8c\x02ab\x85R."),
        ("fills a _ClassName", b"\x80\x04" + A_DOCUMENT + b"}b."),
        ("fills a dict", b"\x80\x04}}b."),
        ("as a key", b"\x80\x04})\x85K\x01s."),
        ("as a key", b"\x80\x04\x8f(]\x90."),
    ],
)
def test_what_documents_do_not_need_is_named_and_refused(name: str, payload: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        read_pickle(payload, DOCUMENTS)
    assert name in str(refused.value)


def test_plain_values_come_out_as_pickle_gives_them() -> None:
    value = {
        "a": [1, -5, 2**40, 1.5, True, None, b"bytes", ("t", (), (1, 2, 3, 4))],
        "가": {1, 2},
        "f": frozenset({"x"}),
        "long": list(range(3000)),
    }
    for protocol in (3, 4, 5):
        assert read_pickle(pickle.dumps(value, protocol), []) == value
    assert read_pickle(b"(dp0\nVa\np1\nI1\nsVb\np2\n(lp3\nF2.5\nasg1\nL7L\ns.", []) == {"a": 7, "b": [2.5]}


def test_an_allowed_class_is_a_stand_in_with_its_state() -> None:
    read = read_pickle(b"\x80\x04" + A_DOCUMENT + b")\x81}\x8c\x01aK\x01sb.", DOCUMENTS)
    assert (type(read), read.name, read.state) == (StandIn, DOCUMENT, {"a": 1})


@pytest.mark.parametrize(
    ("reason", "payload"),
    [
        (r"nests its values", b"\x80\x04" + b"]" * (MAX_DEPTH + 2)),
        (r"nests its values", b"\x80\x04" + b"(" * (MAX_DEPTH + 2)),
        (r"an integer of 512 bits|an integer of 511 bits", b"\x80\x04\x8a\x40" + b"\x7f" * 64 + b"."),
        (r"is damaged", b"L" + b"9" * 100_000 + b"L\n."),
        (r"is damaged", b"\x80\x04j\xff\xff\xff\xff."),
        (r"is damaged", b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"abc."),
        (r"is damaged", b"\x80\x04\x8d" + b"\xff" * 8 + b"."),
        (r"is damaged", b"\x80\x04B\xff\xff\xff\x7fabc."),
        (
            r"unfolds to much more",
            b"\x80\x04cbuiltins\nset\nq\x000](" + b"K\x01" * 500 + b"eq\x010" + b"h\x00h\x01\x85R0" * 5000,
        ),
    ],
)
def test_a_small_file_takes_little(reason: str, payload: bytes) -> None:
    start = time.perf_counter()
    with pytest.raises(RefusedError, match=reason):
        read_pickle(payload, [])
    assert time.perf_counter() - start < 5


def test_chains_a_million_deep_are_read_refused_and_let_go() -> None:
    deep = b"\x80\x04)" + b"\x85" * 300_000
    del_me = read_pickle(deep + b".", [])
    del del_me  # the interpreter must survive this
    with pytest.raises(RefusedError, match="more than 8 levels"):
        read_docstore(within_metadata(deep + b"."))
    objects = b"\x80\x02" + A_DOCUMENT + b"q\x00)\x81" + b"q\x010h\x00)\x81h\x01b" * 100_000 + b"."
    del_me = read_pickle(objects, DOCUMENTS)
    del del_me


def test_lists_of_lists_of_lists_do_not_unfold() -> None:
    doubling = b"\x80\x02]q\x00" + b"".join(b"0](h\x00h\x00eq\x00" for _ in range(100)) + b"."
    start = time.perf_counter()
    with pytest.raises(RefusedError, match=r"levels deep|unfolds"):
        read_docstore(within_metadata(doubling))
    assert time.perf_counter() - start < 5
    wide = b"\x80\x02]q\x64(" + b"K\x01" * 5000 + b"e0](" + b"h\x64" * 5000 + b"e."
    with pytest.raises(RefusedError, match="unfolds"):
        read_docstore(within_metadata(wide))


def test_accents_without_end_are_not_sorted() -> None:
    start = time.perf_counter()
    with pytest.raises(RefusedError, match="heaps more than 1,000 accents"):
        read_docstore(pickled([("e" + "\u0301\u0316" * 500_000, {})]))
    assert time.perf_counter() - start < 5


def test_a_file_cut_anywhere_is_refused() -> None:
    for end in range(len(ORDINARY)):
        with pytest.raises(RefusedError):
            read_docstore(ORDINARY[:end])


_FRAGMENTS = [
    b"cos\nsystem\n",
    b"\x8c\x02os\x8c\x06system\x93",
    b"R",
    b"\x81",
    b"b",
    b"0",
    b"(",
    b"t",
    b"\x85",
    b"Q",
    b"\x82\xf0",
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return an ordinary pickle with bytes changed, cut out, doubled, or harmful fragments put in."""
    data = bytearray(ORDINARY)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["change", "cut", "insert", "double"]))
        if how == "change" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[at : at + draw(st.integers(1, 20))]
        elif how == "insert":
            data[at:at] = draw(st.sampled_from(_FRAGMENTS) | st.binary(max_size=8))
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated() | st.binary(max_size=60))
def test_whatever_is_in_the_file_it_is_documents_or_refused(watching: Callable[[], Any], data: bytes) -> None:
    with watching() as seen:
        try:
            chunks = read_docstore(data)
        except RefusedError:
            chunks = []
    assert seen == []
    assert all(type(chunk) is Chunk and type(chunk.text) is str for chunk in chunks)
    for chunk in chunks:
        chunk.text.encode()
