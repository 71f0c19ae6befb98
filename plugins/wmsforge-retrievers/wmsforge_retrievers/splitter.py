"""Documents into Passages: whole sections where they fit, else whole sentences, else cut hard.

The sentences are packed into chunks by LlamaIndex, counted in characters. Every passage knows its
exact span, so `passage.text == document.text[passage.start:passage.end]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate, chain
from typing import TYPE_CHECKING

from wmsforge.records import Document, Passage, content_id
from wmsforge_retrievers.sections import SEPARATOR, Section, join_leads, sections

if TYPE_CHECKING:
    from llama_index.core.node_parser import SentenceSplitter

_WORD_START = re.compile(r"(?<!\S)\S")
_BLOCK_CHARS = 10_000
"""Text is analysed in blocks of at most this size, so that one endless line costs bounded memory."""
_SHORT_LINE_CHARS = 40
"""A line this short is left whole: looking for sentences in it costs more than it gives."""
_BLANK = re.compile(r"\s")


class PassageSplitter:
    """Cuts Documents into Passages.

    Args:
        chunk_chars: Most characters of a passage.
        overlap_chars: Most characters that a passage repeats from the one before it, where a section
            had to be cut.
    """

    def __init__(self, chunk_chars: int, overlap_chars: int) -> None:
        self.chunk_chars = chunk_chars
        self.overlap_chars = overlap_chars

    def split(self, document: Document) -> Iterator[Passage]:
        """Yield the passages of a document in the order of its text."""
        for section in self._sections(document):
            for start, end in self._chunks(document.text, section.start, section.end):
                yield Passage(
                    id=content_id(document.id, start, end),
                    document_id=document.id,
                    path=document.path,
                    text=document.text[start:end],
                    start=start,
                    end=end,
                    section=SEPARATOR.join(section.trail),
                    title=document.title,
                    page=document.page,
                    row=document.row,
                )

    def _sections(self, document: Document) -> list[Section]:
        if document.row is not None:  # a table row or a record is one thing
            return [Section(0, len(document.text), ())]
        return join_leads(sections(document.text), document.text, least_chars=self.chunk_chars // 5)

    def _chunks(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        start, end = _stripped(text, start, end)
        if end - start <= self.chunk_chars:
            if start < end:
                yield start, end
            return
        previous = start
        last: tuple[int, int] | None = None
        for piece_start, piece_end in self._pieces(text, start, end):
            chunk = self._with_overlap(text, previous, piece_start), piece_end
            if last is not None and last[0] < chunk[0]:
                yield last  # else the chunk repeats all of the last one and stands for both
            previous, last = piece_start, chunk
        if last is not None:
            yield last

    def _pieces(self, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield spans that cover all but blanks, in order and without overlap."""
        splitter = _sentence_splitter(self.chunk_chars - self.overlap_chars)
        for block_start, block_end in _blocks(text, start, end):
            place = block_start
            # Pieces follow each other with only blanks left out, so the next one found is the one meant.
            for piece in splitter.split_text(text[block_start:block_end]):
                place = text.index(piece, place, block_end)
                yield place, place + len(piece)
                place += len(piece)

    def _with_overlap(self, text: str, previous: int, start: int) -> int:
        """Return where a chunk at `start` begins when it repeats the end of the one before.

        That is the first sentence that fits into the overlap, else the first word, else `start`.
        """
        earliest = max(previous, start - self.overlap_chars)
        lengths = (len(sentence) for sentence in sentence_pieces(text[earliest:start]))
        # What begins at `earliest` itself is the rest of a sentence, unless the chunk before begins there.
        sentences = (place for place in accumulate(lengths, initial=earliest) if place in range(earliest + 1, start))
        starts = (place for place in sentences if not text[place].isspace())
        words = (match.start() for match in _WORD_START.finditer(text, earliest, start))
        return previous if previous == earliest else next(chain(starts, words), start)


def sentence_pieces(text: str) -> list[str]:
    """Return the sentences with the blanks after them; joined they are the text. A line ends a sentence."""
    from wmsforge_korean.morphemes import sentences

    pieces = []
    for line in text.splitlines(keepends=True):
        whole = len(line) <= _SHORT_LINE_CHARS or not _BLANK.search(line.strip())
        starts = [0] if whole else [0, *(start for start, _ in sentences(line)[1:])]
        pieces += [line[start:end] for start, end in zip(starts, [*starts[1:], len(line)], strict=True)]
    return pieces


def _sentence_splitter(chars: int) -> SentenceSplitter:
    from llama_index.core.node_parser import SentenceSplitter

    # `tokenizer=list` counts characters; our sentences keep LlamaIndex away from nltk, which is for
    # English and refuses to read its data from a hard-linked installation.
    return SentenceSplitter(
        chunk_size=chars,
        chunk_overlap=0,
        tokenizer=list,
        paragraph_separator="\n\n",
        chunking_tokenizer_fn=sentence_pieces,
    )


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield spans of at most `_BLOCK_CHARS`, cut after a paragraph, a line, a full stop, a blank, or hard."""
    while end - start > _BLOCK_CHARS:
        middle, limit = start + _BLOCK_CHARS // 2, start + _BLOCK_CHARS
        marks = (text.rfind(mark, middle, limit) + len(mark) for mark in ("\n\n", "\n", ". ", " "))
        cut = next((mark for mark in marks if mark > middle), limit)
        yield start, cut
        start = cut
    yield start, end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
