"""LangChain's chunks as our Documents and Passages.

Their original texts are not in the folder. So each chunk is a Document of its own, its span is the whole of it, and
its row is its place in the index. Only where LangChain kept `start_index` does a Passage have its place in the
original: in the text of the file or page as LangChain's loader read it, which cannot be checked from here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from wmsforge.records import Document, Passage, content_id
from wmsforge_langchain.docstore import Chunk

_SHORT_CHARS = 1000
"""A path or a title is no longer; metadata may hold anything."""


def document(chunk: Chunk, position: int, saved: str, sha256: str) -> Document:
    """Return the chunk as a Document.

    Args:
        position: Its place in the index, from 0.
        saved: The file that holds it; its path where LangChain kept no source.
        sha256: That file's.
    """
    path = _source(chunk.metadata) or saved
    return Document(
        id=content_id(path, _page(chunk.metadata), position + 1, chunk.text),
        text=chunk.text,
        path=path,
        sha256=sha256,
        page=_page(chunk.metadata),
        row=position + 1,
        fields=dict(chunk.metadata),
    )


def passage(chunk: Chunk, position: int, saved: str) -> Passage:
    """Return the chunk as a Passage; see the top of this module for its span."""
    path, page, title = _source(chunk.metadata) or saved, _page(chunk.metadata), chunk.metadata.get("title")
    start = _number(chunk.metadata, "start_index")
    inside = start is not None and bool(_source(chunk.metadata))
    document_id = content_id(path, page) if inside else content_id(path, page, position + 1, chunk.text)
    first = start if inside and start is not None else 0
    row = _number(chunk.metadata, "row")  # of LangChain's CSVLoader, which counts from 0
    return Passage(
        id=content_id(document_id, first, first + len(chunk.text), chunk.text),
        document_id=document_id,
        path=path,
        text=chunk.text,
        start=first,
        end=first + len(chunk.text),
        title=title[:_SHORT_CHARS] if isinstance(title, str) else "",
        page=page,
        row=None if row is None else row + 1,
    )


def _source(metadata: Mapping[str, Any]) -> str:
    source = metadata.get("source")
    return unicodedata.normalize("NFC", source[:_SHORT_CHARS]) if isinstance(source, str) else ""


def _page(metadata: Mapping[str, Any]) -> int | None:
    page = _number(metadata, "page")
    if page is not None:
        return page + 1  # LangChain's PDF loaders count from 0
    return _number(metadata, "page_number") or None  # and Unstructured from 1


def _number(metadata: Mapping[str, Any], name: str) -> int | None:
    """Return a place; -1 is how LangChain says that it did not find one."""
    value = metadata.get(name)
    return value if type(value) is int and value >= 0 else None
