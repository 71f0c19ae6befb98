"""Folders as LangChain saved them over the years, written without LangChain: the same names, the same states."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import faiss
import numpy as np
import numpy.typing as npt

Texts = Sequence[tuple[str, Mapping[str, Any]]]


class Layout(NamedTuple):
    """Where LangChain had its classes, how pydantic pickled them, and in which protocol."""

    store: str
    document: str
    pydantic: int
    protocol: int = 4


LAYOUTS = {
    "early 2023": Layout("langchain.docstore.in_memory", "langchain.docstore.document", 1),
    "python 3.7": Layout("langchain.docstore.in_memory", "langchain.schema", 1, protocol=3),
    "schema is a file": Layout("langchain.docstore.in_memory", "langchain.schema", 1),
    "schema is a package": Layout("langchain.docstore.in_memory", "langchain.schema.document", 1),
    "0.1": Layout("langchain_community.docstore.in_memory", "langchain_core.documents.base", 1),
    "today": Layout("langchain_community.docstore.in_memory", "langchain_core.documents.base", 2),
    "by hand, protocol 2": Layout("langchain_community.docstore.in_memory", "langchain_core.documents.base", 2, 2),
    "by hand, protocol 5": Layout("langchain_community.docstore.in_memory", "langchain_core.documents.base", 2, 5),
}
TODAY = LAYOUTS["today"]


class _Stated:
    """An object whose pickled state is what the test says."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state


@contextmanager
def classes(layout: Layout) -> Iterator[tuple[type[_Stated], type[_Stated]]]:
    """Give classes (store, document) that pickle finds under the layout's names."""
    made = []
    before = dict(sys.modules)
    try:
        for module, name in ((layout.store, "InMemoryDocstore"), (layout.document, "Document")):
            made.append(type(name, (_Stated,), {"__module__": module}))
            parts = module.split(".")
            for end in range(1, len(parts) + 1):
                sys.modules[".".join(parts[:end])] = ModuleType(".".join(parts[:end]))
        for made_class in made:
            setattr(sys.modules[made_class.__module__], made_class.__name__, made_class)
        yield made[0], made[1]
    finally:
        for name in sys.modules.keys() - before.keys():
            del sys.modules[name]
        sys.modules.update(before)


def state_of(layout: Layout, text: Any, metadata: Any) -> dict[str, Any]:
    """Return the state of a pickled Document."""
    if layout.pydantic == 1:
        fields = {"page_content": text, "metadata": metadata}
        return {"__dict__": fields, "__fields_set__": {*fields}, "__private_attribute_values__": {}}
    fields = {"id": None, "metadata": metadata, "page_content": text, "type": "Document"}
    set_ = {"page_content", "metadata"}
    return {
        "__dict__": fields,
        "__pydantic_extra__": None,
        "__pydantic_fields_set__": set_,
        "__pydantic_private__": None,
    }


def pickled(texts: Texts, layout: Layout = TODAY) -> bytes:
    """Return the bytes of `index.pkl`."""
    with classes(layout) as (store, document):
        documents = {
            f"id-{number}": document(state_of(layout, text, metadata)) for number, (text, metadata) in enumerate(texts)
        }
        ids = {number: f"id-{number}" for number in range(len(texts))}
        return pickle.dumps((store({"_dict": documents}), ids), layout.protocol)


def save(
    folder: Path,
    texts: Texts,
    vectors: npt.NDArray[np.float32],
    *,
    kind: str = "Flat",
    metric: int = faiss.METRIC_L2,
    name: str = "index",
    layout: Layout = TODAY,
) -> Path:
    """Write both files and return the folder; `kind` is a text for FAISS's index factory."""
    folder.mkdir(parents=True, exist_ok=True)
    index = faiss.index_factory(vectors.shape[1], kind, metric)
    index.train(vectors)
    index.add(vectors)
    faiss.write_index(index, str(folder / f"{name}.faiss"))
    (folder / f"{name}.pkl").write_bytes(pickled(texts, layout))
    return folder
